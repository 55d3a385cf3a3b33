"""The command line, on files and without a Zipkin; tests/e2e/test_doctor.py runs it on a real system."""

import io
import json
import re
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from journey.cli import main
from journey.cli.terminal import Terminal

from tests.order_journey import CHAIN

RECORDED = Path(__file__).parent / "recorded" / "audit.jsonl"
TRACE = "970c05e286327d94b104178d6887a676"
NOBODY = "http://127.0.0.1:9"


def journey(*arguments: str, **environment: str) -> Result:
    return CliRunner().invoke(main, arguments, env={"NO_COLOR": "", "ZIPKIN_URL": "", "ZIPKIN_PORT": "", **environment})


def lines_of(tmp_path: Path, *lines: str) -> str:
    file = tmp_path / "spans.jsonl"
    file.write_text("\n".join(lines) + "\n")
    return str(file)


def recorded(*, without: str = "") -> list[str]:
    """The recorded lines without the span of a name."""
    requests = [json.loads(line) for line in RECORDED.read_text().splitlines()]
    for scope in (scope for each in requests for r in each["resourceSpans"] for scope in r["scopeSpans"]):
        scope["spans"] = [span for span in scope["spans"] if span["name"] != without]
    return [json.dumps(each) for each in requests]


def test_a_trace_is_drawn() -> None:
    shown = journey("show", TRACE, "--otlp", str(RECORDED))

    assert shown.exit_code == 0
    assert "6 spans, 3 services" in shown.stdout
    assert "└─ send email" in shown.stdout
    assert "\x1b" not in shown.stdout, "no colours where nobody looks"


def test_colours_come_when_asked_for_and_not_with_no_color() -> None:
    arguments = ("show", TRACE, "--otlp", str(RECORDED))

    assert "\x1b[2m" in journey(*arguments, "--color").stdout
    assert "\x1b[2m" in journey(*arguments, "--color", NO_COLOR="1").stdout, "the option is nearer"
    assert "\x1b" not in journey(*arguments, "--no-color").stdout
    plain = re.sub(r"\x1b\[\d+m", "", journey(*arguments, "--color").stdout)
    assert plain == journey(*arguments).stdout


def test_a_terminal_has_colours_unless_it_wants_none(monkeypatch: pytest.MonkeyPatch) -> None:
    class ColouredStream(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr(sys, "stdout", ColouredStream())
    monkeypatch.setenv("NO_COLOR", "")
    wanted = Terminal(None).colour
    monkeypatch.setenv("NO_COLOR", "1")

    assert (wanted, Terminal(None).colour, Terminal(True).colour) == (True, False, True)


def test_a_drawing_is_as_wide_as_the_terminal() -> None:
    widths = [
        max(map(len, journey("show", TRACE, "--otlp", str(RECORDED), COLUMNS=columns).stdout.splitlines()))
        for columns in ("80", "120")
    ]

    assert widths[0] <= 80 < widths[1] <= 120


def test_a_trace_is_shown_to_machines() -> None:
    shown = json.loads(journey("show", TRACE, "--otlp", str(RECORDED), "--json").stdout)

    assert shown.keys() == {"trace_id", "start", "duration", "errors", "spans", "missing_parents"}
    assert (shown["trace_id"], shown["errors"], shown["missing_parents"]) == (TRACE, 0, [])
    names = [span["name"] for span in shown["spans"]]
    assert names[0] == "POST /orders" and names[-1] == "send email"
    parents = {span["id"]: span["parent_id"] for span in shown["spans"]}
    assert list(parents.values()) == [None, *list(parents)[:-1]]
    assert shown["spans"][2]["wait"] == {"topic": "orders", "duration": 452000.0, "measured": True}
    assert shown["spans"][5]["duration"] == 9166


def test_a_damaged_line_is_named_and_left_out(tmp_path: Path) -> None:
    file = lines_of(
        tmp_path, '{"resourceSpans": [', "7", '{"resourceSpans": 7}', "", "[" * 100_000, *recorded(), "\x00"
    )
    shown = journey("show", TRACE, "--otlp", file)

    assert shown.exit_code == 0
    assert "6 spans" in shown.stdout
    assert [line.split(",")[1] for line in shown.stderr.splitlines()] == [
        " line 1",
        " line 2",
        " line 3",
        " line 5",
        " line 10",
    ]


def test_several_files_are_read_together(tmp_path: Path) -> None:
    half = tmp_path / "half.jsonl"
    half.write_text("\n".join(recorded(without="send email")))
    both = journey("show", TRACE, "--otlp", str(half), "--otlp", str(RECORDED))

    assert "6 spans" in both.stdout
    assert "5 spans" in journey("show", TRACE, "--otlp", str(half)).stdout


@pytest.mark.parametrize("command", ["show", "doctor"])
@pytest.mark.parametrize(
    ("given", "told"), [("f" * 32, "not in the files"), ("no-such-order", "No trace in the files has")]
)
def test_what_is_not_there_is_told_in_a_line(command: str, given: str, told: str) -> None:
    shown = journey(command, given, "--otlp", str(RECORDED))

    assert shown.exit_code == {"show": 1, "doctor": 2}[command]
    assert told in shown.stderr
    assert "zipkin" not in shown.stderr.lower()
    assert shown.stdout == ""


@pytest.mark.parametrize("arguments", [("show", TRACE), ("doctor", TRACE), ("doctor", "--last", "3")])
def test_a_zipkin_that_is_away_is_told_in_a_line(arguments: tuple[str, ...]) -> None:
    by_option, by_variable = journey(*arguments, "--zipkin", NOBODY), journey(*arguments, ZIPKIN_URL=NOBODY)

    for shown in by_option, by_variable:
        assert shown.exit_code == 2
        assert shown.stderr.startswith(f"Error: Zipkin at {NOBODY} does not answer (ConnectionError). Is it running?")
        assert len(shown.stderr.splitlines()) == 1


def test_the_port_of_the_local_stack_is_known() -> None:
    assert "http://127.0.0.1:9 does not answer" in journey("show", TRACE, ZIPKIN_PORT="9").stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("doctor",),
        ("doctor", TRACE, "--last", "1"),
        ("doctor", "--last", "0"),
        ("doctor", TRACE, "--patience", "-1"),
        ("doctor", TRACE, "--chain", "no-such-file"),
        ("show", TRACE, "--otlp", "no-such-file"),
        ("show",),
        ("watch", "--otlp", str(RECORDED)),
    ],
)
def test_wrong_usage_has_the_exit_code_of_what_could_not_be_looked_at(arguments: tuple[str, ...]) -> None:
    assert journey(*arguments).exit_code == 2


def test_a_whole_journey_ends_the_doctor_with_0() -> None:
    by_id, last = (
        journey("doctor", TRACE, "--otlp", str(RECORDED), "--chain", str(CHAIN)),
        journey("doctor", "--last", "5", "--otlp", str(RECORDED)),
    )

    assert (by_id.exit_code, last.exit_code) == (0, 0)
    assert by_id.stdout == last.stdout == f"{TRACE}  whole   6 spans, 3 services, 586.9 ms in all\n"


def test_a_broken_journey_ends_the_doctor_with_1_and_is_drawn_with_the_place(tmp_path: Path) -> None:
    file = lines_of(tmp_path, *recorded(without="send invoices"))
    said = journey("doctor", TRACE, "--otlp", file, "--chain", str(CHAIN))

    assert said.exit_code == 1
    assert said.stdout.startswith(f"{TRACE}  broken  5 spans")
    (marked,) = (line for line in said.stdout.splitlines() if line.startswith(">>> "))
    assert marked.endswith("missing") and "send invoices" in marked
    assert "span dropped, most likely: notifier CONSUMER `process invoices`" in said.stdout
    assert "\n  check: " in said.stdout


def test_machines_are_told_the_cause_and_what_to_check(tmp_path: Path) -> None:
    file = lines_of(tmp_path, *recorded(without="send invoices"))
    said = json.loads(journey("doctor", "--last", "1", "--otlp", file, "--json").stdout)
    (finding,) = said.pop("findings")

    assert said == {"trace_id": TRACE, "whole": False, "verdict": "broken"}
    assert finding.keys() == {"cause", "says", "check", "span_id", "other_trace_id", "due"}
    assert finding["cause"] == "span dropped"


def test_a_chain_may_be_a_file_and_what_is_wrong_with_it_is_told(tmp_path: Path) -> None:
    chain = tmp_path / "chain.toml"
    chain.write_text('[[row]]\nservice = "orders"\nkind = "SERVER"\nname = "POST /orders"\n')
    arguments = ("doctor", TRACE, "--otlp", str(RECORDED), "--chain", str(chain))
    right = journey(*arguments)
    chain.write_text("[[row]]")
    wrong = journey(*arguments)

    assert (right.exit_code, wrong.exit_code) == (0, 2)
    assert "row 1 needs service, kind and name" in wrong.stderr.replace("\n", " ")


def greetings(tmp_path: Path, *, sent_s_ago: float = 3600) -> str:
    """A file with the trace of aiokafka-otel's README: nobody reads the replies."""
    start = int((time.time() - sent_s_ago) * 1e9)

    def span(number: int, kind: int, name: str) -> dict[str, Any]:
        topic = {"key": "messaging.destination.name", "value": {"stringValue": name.partition(" ")[2]}}
        parent = {"parentSpanId": f"{number - 1:016x}"} if number > 1 else {}
        times = {"startTimeUnixNano": str(start + number), "endTimeUnixNano": str(start + number + 10_000)}
        ids = {"traceId": TRACE, "spanId": f"{number:016x}", **parent}
        return {**ids, "name": name, "kind": kind, **times, "attributes": [topic]}

    spans = [span(1, 4, "send greetings"), span(2, 5, "process greetings"), span(3, 4, "send replies")]
    return lines_of(tmp_path, json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]}))


def test_a_topic_that_nobody_reads_yet_is_a_remark_and_none_where_it_is_said_to_be_the_end(tmp_path: Path) -> None:
    file, chain = greetings(tmp_path), tmp_path / "chain.toml"
    chain.write_text('ends = ["replies"]\n')
    said = journey("doctor", TRACE, "--otlp", file)
    by_option = journey("doctor", TRACE, "--otlp", file, "--end", "replies", "--end", "others")
    by_file = journey("doctor", TRACE, "--otlp", file, "--chain", str(chain))

    assert (said.exit_code, by_option.exit_code, by_file.exit_code) == (0, 0, 0)
    whole, remark, check = said.stdout.splitlines()
    assert whole.startswith(f"{TRACE}  whole   3 spans")
    assert remark.startswith("remark: nobody has read topic replies yet; ")
    assert check.startswith("  check: ") and "--end TOPIC" in check
    assert by_option.stdout == by_file.stdout == f"{whole}\n"


def test_what_is_not_whole_yet_ends_the_doctor_with_3(tmp_path: Path) -> None:
    file = greetings(tmp_path, sent_s_ago=0)
    said = journey("doctor", TRACE, "--otlp", file)
    as_json = json.loads(journey("doctor", TRACE, "--otlp", file, "--json").stdout)

    assert said.exit_code == 3
    assert said.stdout.startswith(f"{TRACE}  not whole yet  3 spans")
    assert "still in the queue, most likely: " in said.stdout and "broken" not in said.stdout
    assert (as_json["whole"], as_json["verdict"]) == (False, "not whole yet")


def test_of_several_journeys_the_worst_makes_the_exit_code(tmp_path: Path) -> None:
    (tmp_path / "young").mkdir()
    (tmp_path / "broken").mkdir()
    young = Path(greetings(tmp_path / "young", sent_s_ago=0))
    young.write_text(young.read_text().replace(TRACE, "b" * 32))
    broken = lines_of(tmp_path / "broken", *recorded(without="send invoices"))
    two = journey("doctor", "--last", "5", "--otlp", str(RECORDED), "--otlp", str(young))
    all_ = journey("doctor", "--last", "5", "--otlp", broken, "--otlp", str(young))

    assert (two.exit_code, all_.exit_code) == (3, 1)
    assert two.stdout.endswith("1 whole, 0 broken, 1 not whole yet\n")
    assert all_.stdout.endswith("0 whole, 1 broken, 1 not whole yet\n")


def test_a_large_trace_is_drawn_around_what_was_found(tmp_path: Path) -> None:
    lines = [json.loads(line) for line in recorded()]
    (scope,) = [
        scope
        for line in lines
        for resource in line["resourceSpans"]
        for scope in resource["scopeSpans"]
        if any(span["name"] == "send orders" for span in scope["spans"])
    ]
    (sent,) = [span for span in scope["spans"] if span["name"] == "send orders"]
    unplaced = [each for each in sent["attributes"] if each["key"] == "messaging.destination.name"]
    scope["spans"] += [{**sent, "spanId": f"{n:016x}", "attributes": unplaced} for n in range(1, 1001)]
    said = journey("doctor", TRACE, "--otlp", lines_of(tmp_path, *map(json.dumps, lines)))

    assert said.exit_code == 1
    assert len(said.stdout.splitlines()) < 30
    assert "The same is true of 999 more." in said.stdout
    assert re.search(r"^9\d\d more spans not drawn: journey show draws all\.$", said.stdout, re.M)
    assert "└─ send email" in said.stdout
    assert said.stdout.count(">>> ") == 1


def test_the_file_of_the_working_directory_tells_which_messages_have_readers_and_demands_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = RECORDED.read_text().splitlines()
    file = lines_of(tmp_path, *(line for line in lines if '"stringValue":"orders"}' in line and "process" not in line))
    monkeypatch.chdir(tmp_path)
    without = journey("doctor", TRACE, "--otlp", file)
    # A row more that the trace does not have is not missed.
    Path("journey.toml").write_text(
        CHAIN.read_text() + '[[row]]\nservice = "orders"\nkind = "INTERNAL"\nname = "never there"\nparent = 1\n'
    )
    told = journey("doctor", TRACE, "--otlp", file)

    assert (without.exit_code, told.exit_code) == (0, 1), without.stdout + told.stdout
    assert "remark: nobody has read topic orders yet" in without.stdout
    assert "consumer not running, most likely: nobody reads topic orders" in told.stdout
    assert "never there" not in told.stdout
