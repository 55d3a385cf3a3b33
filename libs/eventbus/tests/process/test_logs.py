import json
import logging
import sys
from datetime import datetime

import pytest
from eventbus.process import logs


def formatted(*args: object, **extra: object) -> dict[str, object]:
    record = logging.LogRecord("billing", logging.WARNING, __file__, 1, "%s went %s", args, None)
    vars(record).update(extra)
    line = logs.formatter().format(record)
    assert "\n" not in line
    document: dict[str, object] = json.loads(line)
    return document


def test_a_log_line_is_one_json_object_with_what_the_caller_adds() -> None:
    line = formatted("it", "well\nand on", order_id="o-1")
    time = datetime.fromisoformat(str(line.pop("time")))

    assert time.tzinfo is not None
    assert line == {
        "level": "WARNING",
        "logger": "billing",
        "message": "it went well\nand on",
        "trace_id": None,
        "span_id": None,
        "order_id": "o-1",
    }


def test_each_line_has_the_second_in_which_it_was_written() -> None:
    formatter, times = logs.formatter(), []
    for created in (0.0, 0.9, 1.0, 86400.0, 0.5):
        record = logging.makeLogRecord({"created": created})
        times.append(datetime.fromisoformat(json.loads(formatter.format(record))["time"]).timestamp())

    assert times == [0, 0, 1, 86400, 0]


def test_what_utf_8_cannot_encode_is_no_reason_to_lose_a_line() -> None:
    assert formatted("it", "Ren\udce9", order_id="\ud800")["order_id"] == "\ud800"


def test_the_ids_of_the_span_are_on_the_line() -> None:
    line = formatted(
        "it", "well", otelTraceID="a" * 32, otelSpanID="b" * 16, otelServiceName="x", otelTraceSampled=True
    )

    assert (line["trace_id"], line["span_id"]) == ("a" * 32, "b" * 16)
    assert not [name for name in line if name.startswith("otel")]


def test_an_exception_is_part_of_its_line() -> None:
    try:
        raise LookupError("lost")
    except LookupError:
        record = logging.LogRecord("billing", logging.ERROR, __file__, 1, "failed", (), sys.exc_info())
    line = json.loads(logs.formatter().format(record))

    assert "LookupError: lost" in line["exc_info"]


@pytest.fixture
def root_logger() -> object:
    root = logging.getLogger()
    before, switches = (root.handlers[:], root.level), {name: getattr(logging, name) for name in logs.NOT_ON_A_LINE}
    yield root
    root.handlers[:], root.level = before
    for name, value in switches.items():
        setattr(logging, name, value)


def test_all_loggers_write_to_stderr(root_logger: logging.Logger, capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure()
    logging.getLogger("aiokafka").info("hello")
    logging.getLogger("aiokafka").debug("not this")
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]

    assert [(line["logger"], line["message"]) for line in lines] == [("aiokafka", "hello")]
    assert list(lines[0]) == ["time", "level", "logger", "message", "trace_id", "span_id"]
