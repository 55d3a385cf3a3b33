"""What may travel as baggage, and that nothing else does."""

import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import pytest
from aiokafka_otel.propagation import add_context, context_of, without_context
from demo_faults.baggage import SCENARIOS, DemoBaggage
from demo_faults.settings import DemoSettings
from eventbus import Database, Outbox, read_settings
from eventbus.database.tables import outbox
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry import baggage, context, propagate
from opentelemetry.context import Context
from sqlalchemy import select

from libs.eventbus.tests.support import OrderPlaced

POISON = "demo.scenario=billing-poison"


@pytest.fixture(autouse=True)
def demo_faults(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEMO_FAULTS", "1")


def read(carrier: Mapping[str, Any]) -> Mapping[str, object]:
    """Return all baggage that comes of the headers of a request."""
    return baggage.get_all(DemoBaggage().extract(carrier, Context()))


def write(entries: Mapping[str, object]) -> dict[str, str]:
    """Return the headers that come of baggage."""
    carried = Context()
    for name, value in entries.items():
        carried = baggage.set_baggage(name, value, carried)
    carrier: dict[str, str] = {}
    DemoBaggage().inject(carrier, carried)
    return carrier


def sent(carried: Context, headers: list[tuple[str, bytes]]) -> list[tuple[str, bytes]]:
    """Return the headers of a record that is sent on with *headers* in this context."""
    new = without_context(headers)
    add_context(new, carried)
    return new


@pytest.mark.parametrize("scenario", sorted(SCENARIOS))
def test_a_scenario_goes_in_and_out(scenario: str) -> None:
    header = {"baggage": f"demo.scenario={scenario}"}

    assert read(header) == {"demo.scenario": scenario}
    assert write(read(header)) == header


def test_the_scenario_is_found_among_the_callers_other_baggage_which_stays_outside() -> None:
    assert read({"baggage": f"user=ada, {POISON} ;ttl=5,=,,;; session = 7"}) == {"demo.scenario": "billing-poison"}
    assert read({"baggage": ["user=ada", POISON]}) == {"demo.scenario": "billing-poison"}
    assert write({"user": "ada", "demo.scenario": "duplicate"}) == {"baggage": "demo.scenario=duplicate"}
    assert write({"user": "ada"}) == {}


@pytest.mark.parametrize(
    "header",
    [
        "",
        ",",
        "demo.scenario",
        "demo.scenario=",
        "demo.scenario=burn-it-down",
        "demo.scenario=BILLING-POISON",
        "demo.scenario=billing-poison-2",
        "demo.scenario=billing-poison=",
        "demo.scenario=billing%2Dpoison",
        "demo.scenario=\u00a0billing-poison",
        "Demo.Scenario=billing-poison",
        f"{POISON},{POISON}",
        f"{POISON},demo.scenario=duplicate",
        f"a={'x' * 8192},{POISON}",
        "a=1," * 100_000 + POISON,
        "\ud800\udfff=\x00",
        ["demo.scenario=duplicate", POISON],
        [POISON, "x" * 8192],
        [None, 7, POISON.encode()],
        [],
        None,
        7,
    ],
)
def test_a_header_that_does_not_name_exactly_one_known_scenario_brings_nothing(header: object) -> None:
    assert read({"baggage": header}) == {}


@given(st.text() | st.text(alphabet="demo.scenario=billing-poison,; "))
def test_whatever_the_header_holds_nothing_but_a_known_scenario_comes_of_it(header: str) -> None:
    assert read({"baggage": header}) in ({}, *({"demo.scenario": each} for each in SCENARIOS))


@pytest.mark.parametrize("value", ["burn-it-down", "", 7, None, ["duplicate"], "duplicate,x=y"])
def test_a_value_that_is_not_known_does_not_go_out(value: object) -> None:
    assert write({"demo.scenario": value}) == {}


def test_a_kafka_record_carries_the_scenario_and_survives_every_other_baggage(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(propagate, "_HTTP_TEXT_FORMAT", DemoBaggage())
    poisoned = sent(baggage.set_baggage("demo.scenario", "billing-poison"), [("baggage", b"user=ada")])

    assert poisoned == [("baggage", POISON.encode())]
    assert baggage.get_all(context_of(poisoned)) == {"demo.scenario": "billing-poison"}
    for header in (b"\xff=\xff", POISON.encode() + b",\xff=1", b"", b"user=ada"):
        assert baggage.get_all(context_of([("baggage", header)])) == {}
    assert sent(Context(), [("baggage", POISON.encode())]) == []


def test_the_outbox_stores_the_scenario_and_no_other_baggage(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(propagate, "_HTTP_TEXT_FORMAT", DemoBaggage())
    token = context.attach(baggage.set_baggage("user", "ada", baggage.set_baggage("demo.scenario", "duplicate")))
    with database.write() as connection:
        Outbox("orders").add(connection, OrderPlaced(order_id="o-1"))
        stored = connection.scalar(select(outbox.c.trace_context))
    context.detach(token)

    assert stored == '{"baggage": "demo.scenario=duplicate"}'


@pytest.mark.parametrize("value", [None, "", "0", "1", "true", "off", "YES", "2", "maybe", " 1"])
def test_baggage_passes_if_and_only_if_the_services_have_demo_faults_on(
    value: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DEMO_FAULTS")
    if value is not None:
        monkeypatch.setenv("DEMO_FAULTS", value)
    try:
        on = read_settings(DemoSettings).demo_faults
    except SystemExit:
        on = False

    assert bool(read({"baggage": POISON})) is on
    assert bool(write({"demo.scenario": "duplicate"})) is on


def test_opentelemetry_finds_the_propagator_by_its_name_and_imports_no_more_than_it() -> None:
    look = (
        "import sys\n"
        "from opentelemetry import baggage, propagate\n"
        f"context = propagate.extract({{'baggage': '{POISON},user=ada'}})\n"
        "print(baggage.get_all(context), 'baggage' in propagate.get_global_textmap().fields, 'eventbus' in sys.modules)"
    )
    environment = {"OTEL_PROPAGATORS": "tracecontext,demo_baggage", "DEMO_FAULTS": "1"}
    done = subprocess.run([sys.executable, "-c", look], env=environment, capture_output=True, text=True, timeout=60)

    assert done.stdout == "{'demo.scenario': 'billing-poison'} True False\n", done.stderr
