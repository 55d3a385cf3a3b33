"""Broken on purpose, the system must not pass: the checker finds each of these faults, and none in the whole system."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text
from stack import Settings

from tests.chaos import sabotage
from tests.chaos.faults import rewind
from tests.chaos.load import Load
from tests.chaos.run import check, scene_of
from tests.chaos.scene import Scene
from tests.e2e.polling import poll_until

pytestmark = pytest.mark.long

PATIENCE_S = 6


@contextmanager
def scene(folder: Path, **wrong: str) -> Iterator[Scene]:
    """A small system of its own; *wrong* is put into the services' environment."""
    settings = Settings.isolated(folder / "stack", environment={"RETRY_DELAY_S": "1", **wrong})
    with scene_of(settings, seed=1, zipkin=False) as running:
        yield running


def found(scene: Scene) -> set[str]:
    report = check(scene, patience=PATIENCE_S)
    print(report)
    return {finding.kind for finding in report.findings}


def place(scene: Scene, orders: int) -> None:
    """Have so many requests answered."""
    already = len(scene.ledger)
    with Load(scene.stack.settings.orders_url, scene.ledger, rate=20, seed=1):
        poll_until(lambda: len(scene.ledger) >= already + orders, f"{orders} requests are answered")


def everything_is_repeated(scene: Scene) -> None:
    """The record of every e-mail comes once more."""
    place(scene, 30)
    poll_until(lambda: not any(scene.topics.lags().values()), "everything is mailed")
    rewind("notifier", scene)


def billing_dies_with_a_record_in_hand(scene: Scene, *, sign: Callable[[Scene], bool]) -> None:
    """It cannot finish the record before: its database is locked."""
    with create_engine(scene.databases["billing"]).connect() as connection, scene.fault("kill", "billing"):
        connection.execute(text("BEGIN IMMEDIATE"))
        place(scene, 10)
        poll_until(lambda: not scene.sources.look().unsent and sign(scene), "billing has an order that it cannot bill")
        scene.stack.kill("billing")
        connection.rollback()
        scene.stack.start("billing")


def offset_is_ahead(scene: Scene) -> bool:
    """Tell whether billing has committed an offset of an order that is not billed."""
    seen = scene.sources.look()
    unbilled = {order.order_id for order in seen.orders} - {order_id for _, order_id in seen.invoices}
    return scene.topics.lags()["billing"] < len(unbilled)


def mails_are_refused_for_a_while(scene: Scene) -> None:
    """What the mail server does not take goes to the retry topic."""
    with scene.fault("refusing", "mail"), scene.post.refusing():
        place(scene, 10)
        poll_until(lambda: is_retried(scene), "an e-mail is to be tried again")


def is_retried(scene: Scene) -> bool:
    scene.audit.read()
    return any(span.name == "send notifier.retry" for spans in scene.audit.traces.values() for span in spans.values())


CONTROLS: list[tuple[str, Callable[[Scene], None], set[str]]] = [
    ("inbox_off", everything_is_repeated, {"duplicate-mail"}),
    (
        "auto_commit",
        partial(billing_dies_with_a_record_in_hand, sign=offset_is_ahead),
        {"lost-order", "trace-missing-hop"},
    ),
    ("copied_context", mails_are_refused_for_a_while, {"trace-wrong-parent"}),
]


@pytest.mark.parametrize(("broken", "scenario", "findings"), CONTROLS, ids=[name for name, _, _ in CONTROLS])
def test_a_broken_system_is_found_out(
    tmp_path: Path, broken: str, scenario: Callable[[Scene], None], findings: set[str]
) -> None:
    with scene(tmp_path, **sabotage.environment(tmp_path / "sabotage", broken)) as running:
        scenario(running)

        assert found(running) == findings


def test_the_whole_system_passes_the_same(tmp_path: Path) -> None:
    with scene(tmp_path) as running:
        everything_is_repeated(running)
        billing_dies_with_a_record_in_hand(running, sign=lambda _: True)
        mails_are_refused_for_a_while(running)

        assert found(running) == set()
