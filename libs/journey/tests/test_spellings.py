"""One trace in every spelling has one verdict; what is not understood is named, and the journey is not whole then."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from click.testing import CliRunner, Result
from journey.cli import main

from libs.journey.tests import spellings
from libs.journey.tests.spellings import OTLP, TRACE, ZIPKIN, lines, requests, zipkin


@pytest.fixture
def doctor(tmp_path: Path) -> Callable[..., Result]:
    def look(content: bytes, *arguments: str, option: str = "--otlp") -> Result:
        file = tmp_path / "spans"
        file.write_bytes(content)
        return CliRunner().invoke(main, ["doctor", *(arguments or (TRACE, "--json")), option, str(file)])

    return look


def expect_the_verdict(said: Result) -> None:
    (finding,) = json.loads(said.stdout)["findings"]

    assert (said.exit_code, said.stderr) == (1, "")
    assert (finding["cause"], finding["span_id"]) == ("failed", "9940335474a0da38")
    assert "counter CONSUMER `process plays` (9940335474a0da38) failed" in finding["says"]
    assert finding["says"].endswith("boom.")


@pytest.mark.parametrize("spelling", OTLP)
def test_a_trace_has_one_verdict_in_every_spelling_of_otlp(doctor: Callable[..., Result], spelling: str) -> None:
    expect_the_verdict(doctor(OTLP[spelling]))


@pytest.mark.parametrize("spelling", ZIPKIN)
def test_a_trace_has_one_verdict_in_every_spelling_of_zipkin(doctor: Callable[..., Result], spelling: str) -> None:
    expect_the_verdict(doctor(ZIPKIN[spelling], option="--zipkin-file"))


def odd(**fields: Any) -> bytes:
    """The trace whose last span has these fields; a field that is None is not there."""
    documents = requests()
    last = documents[-1]["resourceSpans"][0]["scopeSpans"][0]["spans"][0]
    last |= {"status": {}, **fields}
    for name in [name for name, value in fields.items() if value is None]:
        del last[name]
    return lines([{"resourceSpans": [each for one in documents for each in one["resourceSpans"]]}])


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"kind": "SPAN_KIND_BATCH"}, "'SPAN_KIND_BATCH' is none of SPAN_KIND_UNSPECIFIED, SPAN_KIND_INTERNAL"),
        ({"kind": 6}, "6 is none of SPAN_KIND_"),
        ({"kind": -1}, "-1 is none of SPAN_KIND_"),
        ({"kind": ["CLIENT"]}, "it has another form"),
        ({"status": {"code": "FAILED"}}, "'FAILED' is none of STATUS_CODE_UNSET"),
        ({"status": {"code": 3}}, "3 is none of STATUS_CODE_"),
        ({"status": {"code": 2, "message": 7}}, "7 is no text"),
        ({"spanId": None}, "it has no id"),
        ({"spanId": "0" * 16}, "it has no id"),
        ({"spanId": "xyz"}, "the id 'xyz' is none"),
        ({"parentSpanId": "b78b"}, "the id 'b78b' is none"),
        ({"startTimeUnixNano": "2026-11-25T12:00:00Z"}, "the time '2026-11-25T12:00:00Z' is none"),
        ({"endTimeUnixNano": -1}, "the time -1 is none"),
        ({"endTimeUnixNano": 2**64}, "the time 18446744073709551616 is none"),
        ({"attributes": {"messaging.destination.name": "plays"}}, "it has another form"),
        ({"attributes": [{"key": 7, "value": {}}]}, "it has another form"),
        ({"name": {"text": "process"}}, "is no text"),
    ],
)
def test_a_span_that_is_not_understood_is_named_and_costs_no_other(
    doctor: Callable[..., Result], fields: dict[str, Any], why: str
) -> None:
    said = doctor(odd(**fields))

    assert len(said.stderr.splitlines()) == 1
    assert why in said.stderr
    assert ", line 1, has a span " in said.stderr
    assert said.exit_code == 1
    assert "not understood" in {finding["cause"] for finding in json.loads(said.stdout)["findings"]}


def test_a_span_of_zipkin_that_is_not_understood_is_named_and_costs_no_other(doctor: Callable[..., Result]) -> None:
    oddities = (
        {"kind": "BATCH"},
        {"id": ""},
        {"timestamp": "soon"},
        {"timestamp": -1},
        {"binaryAnnotations": []},
        {"name": 7},
        {"localEndpoint": {"serviceName": []}},
        {"tags": ["plays"]},
    )
    content = json.dumps([*zipkin()[:2], *(zipkin()[2] | each for each in oddities)])
    said = doctor(content.encode(), option="--zipkin-file")
    reasons = (
        "the kind 'BATCH' is none",
        "it has no id",
        "'soon' is no number of microseconds",
        "the time -1 is none",
        "it is of Zipkin's API v1",
        "7 is no text",
        "[] is no text",
        "it has another form",
    )

    assert [why for why, line in zip(reasons, said.stderr.splitlines(), strict=True) if why not in line] == []
    assert said.exit_code == 1
    assert "not understood" in {finding["cause"] for finding in json.loads(said.stdout)["findings"]}


@pytest.mark.parametrize(
    ("content", "option", "why"),
    [
        (ZIPKIN["a trace"], "--otlp", "it is Zipkin's, which --zipkin-file reads"),
        (spellings.spelled(), "--zipkin-file", "it is OTLP, which --otlp reads"),
        (b'{"data": [{"traceID": "1", "spans": []}]}', "--otlp", "it has no resourceSpans"),
        (b'["a"]', "--otlp", "is no OTLP in JSON"),
        (b'{"resourceSpans": [7]}', "--otlp", "has spans of a resource that are not understood"),
        (b'"a"', "--zipkin-file", "it has another form"),
        (b"<html>", "--otlp", "is no JSON"),
    ],
)
def test_what_is_another_format_is_named(doctor: Callable[..., Result], content: bytes, option: str, why: str) -> None:
    said = doctor(content, "--last", "1", option=option)

    assert said.exit_code == 2
    assert why in said.stderr
    assert "No trace is in the files" in said.stderr


def test_a_file_that_breaks_off_keeps_what_is_before(doctor: Callable[..., Result]) -> None:
    whole = OTLP["several, pretty"]
    said = doctor(whole + b'\n{\n  "resourceSpans": [\n    {')

    assert len(json.loads(said.stdout)["findings"]) == 1
    first = whole.count(b"\n") + 2
    assert f"lines {first} to {first + 2}, are no JSON, and left out" in said.stderr


def test_much_that_is_not_understood_is_named_in_a_few_lines(doctor: Callable[..., Result]) -> None:
    bad = [spellings.of_service("web", {"name": f"step {number}"}) for number in range(100)]
    said = doctor(lines(bad) + spellings.spelled())

    assert len(said.stderr.splitlines()) == 21
    assert "100 in all are not understood" in said.stderr.splitlines()[-1]


def test_damaged_lines_that_follow_each_other_are_named_together(doctor: Callable[..., Result]) -> None:
    said = doctor(spellings.spelled() + b"torn\ntorn\n\ntorn\n" + spellings.spelled() + b"torn\n")

    assert [line.split(",", 1)[1] for line in said.stderr.splitlines()] == [
        " lines 3 to 6, are no JSON, and left out",
        " line 9, is no JSON, and left out",
    ]


@pytest.mark.parametrize("spelling", ["one request", "pretty", "UTF-16"])
def test_a_pipe_is_read_like_a_file(tmp_path: Path, spelling: str) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writing = Thread(target=pipe.write_bytes, args=(OTLP[spelling],))
    writing.start()
    said = CliRunner().invoke(main, ["doctor", TRACE, "--json", "--otlp", str(pipe)])
    writing.join()

    expect_the_verdict(said)


def test_a_line_with_bytes_that_are_no_text_is_named_and_read(doctor: Callable[..., Result]) -> None:
    torn = lines([spellings.of_service("web", {"name": "NAME", "traceId": "e" * 32, "spanId": "1" * 16})])
    said = doctor(b"\n" + torn.replace(b"NAME", b"GET /\xff\xfe") + spellings.spelled() + b'{"a": "\xff\n')

    assert json.loads(said.stdout)["trace_id"] == TRACE
    assert [line.split(",", 1)[1] for line in said.stderr.splitlines()] == [
        " line 2, has bytes that are no UTF-8, and is read without them",
        " line 5, is no JSON, and left out",
    ]


def test_a_document_over_lines_with_bytes_that_are_no_text_is_named_too(doctor: Callable[..., Result]) -> None:
    said = doctor(OTLP["pretty"].replace(b"boom", b"boom\xff", 1))

    assert json.loads(said.stdout)["findings"][0]["says"].endswith("boom\N{REPLACEMENT CHARACTER}.")
    assert "has bytes that are no UTF-8, and is read without them" in said.stderr
