"""The short form of `make chaos`: each kind of death once, poison, and a group that reads everything again."""

import os
import secrets
from pathlib import Path

import pytest
from stack import Settings

from tests.chaos.run import run, scene_of

pytestmark = pytest.mark.long

FAULTS = ("kill-billing", "kill-notifier", "kill-orders-worker", "term-billing", "poison", "rewind-billing")


def test_nothing_is_lost_doubled_or_torn_through_faults(tmp_path: Path) -> None:
    seed = int(os.environ.get("CHAOS_SEED") or secrets.randbelow(1_000_000))
    with scene_of(Settings.isolated(tmp_path), seed) as scene:
        report = run(scene, FAULTS, rate=20)

    print(f"CHAOS_SEED={seed}\n{report}")
    assert not report.findings, report
    assert report.orders > 100
    assert report.sampled > 0
