"""Of the runs that count: the median, the range, and what a reader must know."""

from bench.candidates import ALL, chosen
from bench.load import Posted
from bench.measuring import NS, Plan, Run, backlog, percentile
from bench.page import render
from bench.summary import FIGURES, remarks, spread

RATE = FIGURES[0]


def run(rate: float, *, objections: list[str] | None = None, foreign: float = 0.0) -> Run:
    return Run("ours", {figure.name: rate for figure in FIGURES}, objections=objections or [], foreign=foreign)


def test_the_median_comes_with_the_range() -> None:
    assert spread([run(90), run(130), run(100)], RATE) == "100 (90-130)"
    assert spread([run(90)], RATE) == "90"


def test_the_figures_of_a_run_with_an_objection_are_left_out_and_the_page_says_why() -> None:
    lost = run(0, objections=["1 of 3 accepted orders have no e-mail"])

    assert spread([run(90), lost, run(100)], RATE) == "95 (90-100)"
    assert spread([lost], RATE) == "-"
    assert remarks("ours", [lost]) == ["ours: 0 of 1 runs count: 1 of 3 accepted orders have no e-mail."]


def test_a_disturbed_run_is_marked() -> None:
    assert spread([run(90), run(100, foreign=0.4)], RATE) == "95 (90-100)*"
    assert remarks("ours", [run(100, foreign=0.4)]) == ["ours*: others used 40% of the machine meanwhile."]


def test_backlog_is_what_was_due_long_ago_when_the_last_order_was_due() -> None:
    orders = [Posted(f"o-{second}", "", due=second * NS, took=1, status=202) for second in range(5)]
    at = {"o-0": 1 * NS, "o-1": 5 * NS, "o-2": 3 * NS, "o-3": 6 * NS, "o-4": 5 * NS}

    assert backlog(orders, at) == 1


def test_a_percentile_is_one_of_the_values() -> None:
    assert percentile([float(n) for n in range(100)], 0.99) == 99
    assert percentile([1.0], 0.99) == 1


def test_every_candidate_is_in_one_table_of_the_page() -> None:
    names = ["floor", "ours", "gunicorn", "kafkajs-tutorial"]
    page = render("make bench", Plan(), {}, {name: [run(90)] for name in names}, [ALL[name] for name in names])
    heads = [line for line in page.splitlines() if line.startswith("| | ")]

    assert heads == ["| | floor | ours |", "| | floor | gunicorn | ours |", "| | kafkajs-tutorial |"]


def test_groups_and_names_are_chosen_once_each() -> None:
    names = [each.name for each in chosen(["growth", "ours", "floor"])]

    assert names[:2] == ["ours", "ours-x2"]
    assert len(names) == len(set(names))
    assert names[-1] == "floor"
