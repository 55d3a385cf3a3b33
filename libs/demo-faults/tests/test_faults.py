"""Faults on purpose."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from time import monotonic

import pytest
from demo_faults import Fault, Faults
from eventbus import Database, Poison, Transient, within_transaction
from eventbus.testing import LocalWorker
from opentelemetry import baggage, context
from opentelemetry.context import Context
from opentelemetry.trace import set_span_in_context
from sqlalchemy import Connection, insert

from libs.eventbus.tests.support import OrderPlaced, Recorded, effects, effects_of

FAULTS = {
    "billing-fails-twice": Fault(Transient, tries=2),
    "billing-poison": Fault(Poison),
    "slow-billing": Fault(delay_s=0.2),
    "duplicate": Fault(copies=2),
}


@contextmanager
def order_with(scenario: object, base: Context | None = None) -> Iterator[None]:
    """Be in the context of an order that carries *scenario*."""
    token = context.attach(baggage.set_baggage("demo.scenario", scenario, base or Context()))
    try:
        yield
    finally:
        context.detach(token)


def failures(scenarios: Faults, tries: int = 4) -> list[str | None]:
    """Return what each try raises."""
    found: list[str | None] = []
    for attempt in range(1, tries + 1):
        try:
            scenarios.before(attempt)
        except (Transient, Poison) as error:
            found.append(f"{type(error).__name__}: {error}")
        else:
            found.append(None)
    return found


def test_a_fault_of_two_tries_ends_with_the_third() -> None:
    with order_with("billing-fails-twice"):
        found = failures(Faults(FAULTS, enabled=True))

    assert found == ["Transient: demo scenario billing-fails-twice"] * 2 + [None, None]


def test_a_fault_without_a_number_of_tries_never_ends() -> None:
    with order_with("billing-poison"):
        found = failures(Faults(FAULTS, enabled=True))

    assert found == ["Poison: demo scenario billing-poison"] * 4


def test_a_slow_service_takes_its_time_and_does_its_work() -> None:
    began = monotonic()
    with order_with("slow-billing"):
        found = failures(Faults(FAULTS, enabled=True), tries=1)

    assert found == [None]
    assert monotonic() - began >= 0.2


def test_a_row_is_sent_once_unless_its_scenario_wants_more() -> None:
    scenarios = Faults(FAULTS, enabled=True)
    sent = {}
    for scenario in ("duplicate", "billing-poison", "mail-down"):
        with order_with(scenario):
            sent[scenario] = scenarios.copies()

    assert sent == {"duplicate": 2, "billing-poison": 1, "mail-down": 1}
    assert scenarios.copies() == 1


@pytest.mark.parametrize("scenario", ["mail-down", "no-such-thing", "", 7, None])
def test_a_scenario_of_another_service_or_none_at_all_changes_nothing(scenario: object) -> None:
    with order_with(scenario):
        assert failures(Faults(FAULTS, enabled=True)) == [None] * 4


@pytest.mark.parametrize("scenario", sorted(FAULTS))
def test_where_demonstrations_are_off_no_scenario_has_an_effect_or_a_mark(
    scenario: str, recorded: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept: list[float] = []
    monkeypatch.setattr("demo_faults.faults.time.sleep", slept.append)
    scenarios = Faults(FAULTS, enabled=False)
    with recorded.tracer.start_as_current_span("process orders") as span:
        with order_with(scenario, set_span_in_context(span)):
            assert failures(scenarios) == [None] * 4
            assert scenarios.copies() == 1

    assert slept == []
    assert "demo.scenario" not in (recorded.spans("process orders")[0].attributes or {})


@pytest.mark.parametrize("scenario", ["billing-poison", "mail-down"])
def test_the_span_shows_the_scenario_in_every_service_that_the_order_crosses(scenario: str, recorded: Recorded) -> None:
    with recorded.tracer.start_as_current_span("process orders") as span:
        with order_with(scenario, set_span_in_context(span)):
            failures(Faults(FAULTS, enabled=True), tries=1)

    assert (recorded.spans("process orders")[0].attributes or {})["demo.scenario"] == scenario


def worker(database: Database, faults: Faults) -> LocalWorker:
    def note(order: OrderPlaced, connection: Connection) -> None:
        connection.execute(insert(effects).values(order_id=order.order_id))

    plugged = faults.on_handling(within_transaction(OrderPlaced, note, lambda connection: connection))
    return LocalWorker("shop", database, *plugged)


@pytest.mark.parametrize("scenario", ["billing-poison", "duplicate", "mail-down"])
def test_a_subscription_goes_wrong_as_the_scenario_of_its_order_wants(database: Database, scenario: str) -> None:
    shop = worker(database, Faults(FAULTS, enabled=True))
    with order_with(scenario), suppress(Poison):
        shop.deliver(OrderPlaced(order_id="o-1"))
    shop.deliver(OrderPlaced(order_id="o-2"))

    assert effects_of(database) == (["o-2"] if scenario == "billing-poison" else ["o-1", "o-2"])


def test_a_publication_is_repeated_as_the_scenario_of_its_order_wants() -> None:
    [publication] = Faults(FAULTS, enabled=True).on_publishing(OrderPlaced)
    with order_with("duplicate"):
        copies = publication.copies()

    assert publication.event_type is OrderPlaced
    assert (copies, publication.copies()) == (2, 1)


@pytest.mark.parametrize(("value", "fails"), [("1", True), ("0", False), ("", False)])
def test_faults_happen_if_the_environment_says_so(monkeypatch: pytest.MonkeyPatch, value: str, fails: bool) -> None:
    monkeypatch.setenv("DEMO_FAULTS", value)
    with order_with("billing-poison"):
        found = failures(Faults.from_environment(FAULTS), tries=1)

    assert (found != [None]) == fails


def test_another_value_ends_the_process_with_a_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DEMO_FAULTS", "maybe")
    with pytest.raises(SystemExit) as end:
        Faults.from_environment(FAULTS)

    assert end.value.code == 2
    assert capsys.readouterr().err.startswith("DEMO_FAULTS is wrong")
