"""The bench runs, and what it saw of a run decides whether the run counts."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from bench.candidates.own import OURS
from bench.measuring import Observation, Plan, evaluate, observe
from bench.results import Results
from bench.stage import Stage
from bench.summary import FIGURES

pytestmark = pytest.mark.long

TINY = Plan(warm_up=1, orders=20, rate=20, seconds=1, fast_rate=40, fast_seconds=1)


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Observation:
    """All that was seen of a tiny run of this project."""
    with Stage(tmp_path_factory.mktemp("bench")) as stage:
        return observe(stage, OURS, TINY)


def test_a_run_has_every_figure(seen: Observation, tmp_path: Path) -> None:
    run = evaluate(OURS, seen)
    page = Results("make bench", TINY, {OURS.name: [run]}, [OURS]).write(tmp_path / "results")

    assert run.objections == []
    assert run.figures.keys() == {figure.name for figure in FIGURES}
    assert all(value > 0 for name, value in run.figures.items() if name != "backlog")
    assert len(seen.posted) == 1 + 1 + 20 + 20 + 40
    assert all(figure.what in page for figure in FIGURES)
    assert len(json.loads((tmp_path / "results" / "results.json").read_text())["runs"]) == 1


def test_a_lost_order_leaves_the_run_without_figures(seen: Observation) -> None:
    lost = seen.posted[-1].id
    run = evaluate(OURS, replace(seen, ends={id: at for id, at in seen.ends.items() if id != lost}))

    assert run.objections == [f"1 of {len(seen.posted)} accepted orders have no e-mail"]
    assert run.figures == {}


def test_a_torn_trace_leaves_the_run_without_figures(seen: Observation) -> None:
    trace_id = seen.posted[-1].trace_id
    torn = [replace(span, parent_id=None) if span.service == "billing" else span for span in seen.traces[trace_id]]
    run = evaluate(OURS, replace(seen, traces={**seen.traces, trace_id: torn}))

    assert len(run.objections) == 1
    assert trace_id in run.objections[0]
    assert run.figures == {}
