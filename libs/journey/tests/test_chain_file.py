import re
from pathlib import Path

import pytest
from journey import ORDER_JOURNEY
from journey.chain_file import read_chain

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
    ],
)
def test_a_file_that_is_wrong_is_told_where(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(ValueError, match=re.escape(says)):
        read_chain(written(tmp_path, text))
