"""Audit files are read while the Collector writes them and puts them aside."""

import json
from pathlib import Path

from tests.chaos.audit import Audit


def line(number: int, **changes: object) -> str:
    """One request with one span."""
    span = {"traceId": f"{number:032x}", "spanId": f"{number:016x}", "name": "x"}
    span |= {"startTimeUnixNano": "1000000000", "endTimeUnixNano": "2000000000"}
    process = {"attributes": [{"key": "service.instance.id", "value": {"stringValue": "p"}}]}
    return json.dumps({"resourceSpans": [{"resource": process, "scopeSpans": [{"spans": [span | changes]}]}]}) + "\n"


def test_a_line_that_is_not_whole_yet_is_read_when_it_is(tmp_path: Path) -> None:
    audit, file = Audit(tmp_path), tmp_path / "traces.jsonl"
    file.write_text(line(1) + line(2)[:50])

    assert audit.read() == 1
    with file.open("a") as more:
        more.write(line(2)[50:])
    assert audit.read() == 2
    assert len(audit.traces) == 2


def test_what_a_killed_collector_left_in_a_line_costs_no_other_request(tmp_path: Path) -> None:
    first, second, third = (line(number).rstrip("\n") for number in (1, 2, 3))
    (tmp_path / "traces.jsonl").write_text(f"{first}{second[:100]}{third}\n")
    audit = Audit(tmp_path)

    assert audit.read() == 2
    assert len(audit.traces) == 2


def test_a_file_that_was_put_aside_is_not_read_again(tmp_path: Path) -> None:
    audit, file = Audit(tmp_path), tmp_path / "traces.jsonl"
    file.write_text(line(1))
    audit.read()
    with file.open("a") as more:
        more.write(line(2))
    file.rename(tmp_path / "traces-2026.jsonl")
    file.write_text(line(3))

    assert audit.read() == 3
    assert audit.read() == 3
    assert len(audit.traces) == 3


def test_reports_of_one_span_are_one_unless_they_disagree_about_the_parent(tmp_path: Path) -> None:
    (tmp_path / "traces.jsonl").write_text(line(1) + line(1) + line(1, parentSpanId="f" * 16))
    audit = Audit(tmp_path)

    assert audit.read() == 3
    assert [len(spans) for spans in audit.traces.values()] == [2]
    assert audit.latest == {"p": 2.0}
