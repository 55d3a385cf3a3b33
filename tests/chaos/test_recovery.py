"""What counts as having recovered."""

import pytest

from tests.chaos.findings import Fault
from tests.chaos.recovery import Recovery, Work

WORK = Work(
    by_part={"orders": [1.0, 12.5], "billing": [9.0, 13.0, 14.0], "notifier": [11.0], "orders-worker": [10.5]},
    by_record={("orders", 0, 1): 0.02, ("orders", 1, 1): 0.4, ("orders", 0, 2): 3.0},
)


@pytest.mark.parametrize(
    ("fault", "recovery"),
    [
        (Fault("kill", "billing", 9.9, 10.0, ready=12.0), Recovery("kill", "billing", 2.0, 1.0)),
        (Fault("kill", "notifier", 9.9, 10.0, ready=12.0), Recovery("kill", "notifier", 2.0, 0.0)),
        (Fault("term", "orders", 9.9, 10.0, ready=12.0), Recovery("term", "orders", 2.0, 0.5)),
        (Fault("away", "kafka", 9.0, 12.0, ready=12.5), Recovery("away", "kafka", 0.5, 0.5)),
        (Fault("kill", "zipkin", 9.9, 10.0, ready=12.0), Recovery("kill", "zipkin", 2.0, None)),
        (Fault("away", "collector", 1, 10.0, ready=11.0, caught_up=17.0), Recovery("away", "collector", 1.0, 6.0)),
        (
            Fault("poison", "orders", 1, 2, written={"a": ("orders", 0, 1), "b": ("orders", 1, 1)}),
            Recovery("poison", "orders", None, 0.4),
        ),
    ],
    ids=lambda value: f"{value.name} {value.target}" if isinstance(value, Fault) else "",
)
def test_it_is_counted_from_when_what_was_started_is_ready(fault: Fault, recovery: Recovery) -> None:
    assert list(WORK.recoveries([fault])) == [recovery]


def test_what_only_disturbed_has_no_recovery() -> None:
    assert list(WORK.recoveries([Fault("lock", "billing", 1, 2)])) == []


def test_another_relay_takes_over_and_the_restart_does_not_count() -> None:
    work = Work({"orders-worker": [9.0, 40.0], "orders-worker-2": [11.5]}, {})

    assert list(work.recoveries([Fault("kill", "orders-worker", 9.9, 10.0, ready=12.0)])) == [
        Recovery("kill", "orders-worker", None, 1.5)
    ]
