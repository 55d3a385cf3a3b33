import re
from pathlib import Path

import pytest
from journey.chain_file import read_chain, read_ends

from tests.order_journey import ORDER_JOURNEY

README = (Path(__file__).parents[1] / "README.md").read_text()
ROW = '[[row]]\nservice = "orders"\nkind = "SERVER"\nname = "POST /orders"\n'


def written(folder: Path, text: str) -> Path:
    file = folder / "chain.toml"
    file.write_text(text)
    return file


def test_the_chain_of_the_readme_begins_like_the_journey_of_an_order(tmp_path: Path) -> None:
    example = re.search(r"```toml\n(.*?)```", README, re.S)
    assert example

    assert read_chain(written(tmp_path, example[1])) == ORDER_JOURNEY[:3]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "has no [[row]]"),
        ("row = 7", "has no [[row]]"),
        ("row = [7]", "row 1 is no table"),
        ("[[row]", "is no TOML"),
        (ROW + "[[row]]", "row 2 needs service, kind and name"),
        (ROW.replace("SERVER", "WAITER"), "kind WAITER is none of SERVER, CLIENT"),
        (ROW + "parent = 1", "row 1: parent is the number of a row before it"),
        (ROW + "parent = true", "parent is the number of a row before it"),
        (ROW + "color = 3", "row 1 has color; it may have"),
        (ROW + 'ends = ["shipments"]', "row 1 has ends, which stands above the first [[row]]"),
        ('end = "shipments"\n' + ROW, "has end; it may have ends and [[row]]"),
    ],
)
def test_a_file_that_is_wrong_is_told_where(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(ValueError, match=re.escape(says)):
        read_chain(written(tmp_path, text))


def test_a_file_may_name_the_topics_at_which_the_journey_ends(tmp_path: Path) -> None:
    both, only = written(tmp_path, 'ends = ["shipments", "audit"]\n' + ROW), tmp_path / "ends.toml"
    only.write_text('ends = ["shipments"]\n')

    assert (len(read_chain(both)), read_ends(both)) == (1, ("shipments", "audit"))
    assert (read_chain(only), read_ends(only)) == ((), ("shipments",))
    assert read_ends(written(tmp_path, ROW)) == ()


@pytest.mark.parametrize("ends", ['"shipments"', "[7]", '[""]'])
def test_ends_that_are_no_topics_are_told(tmp_path: Path, ends: str) -> None:
    with pytest.raises(ValueError, match="ends is a list of topics"):
        read_ends(written(tmp_path, f"ends = {ends}\n{ROW}"))
