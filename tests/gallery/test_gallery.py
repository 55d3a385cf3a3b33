"""docs/gallery.md: what it says is what runs, and each entry still breaks the way it says."""

from pathlib import Path

import pytest
from stack import Settings, Stack

from gallery.comparison import PARTS, compare
from gallery.entry import FOLDER, NAMES, Entry, load_all
from gallery.page import PAGE, render

pytestmark = pytest.mark.long

# `make gallery` runs them all.
MOST_TELLING = ("closed_early", "forwarded_headers", "one_bad_byte", "confluent", "sigterm", "outbox")


def test_the_page_is_made_of_the_entries() -> None:
    assert PAGE.read_text() == render(load_all()), "run `make gallery`"


def test_each_file_is_an_entry_of_the_page() -> None:
    assert sorted(NAMES) == sorted(path.stem for path in FOLDER.glob("*.py") if path.stem != "__init__")


def test_the_most_telling_break_and_are_whole_as_the_page_says(tmp_path: Path) -> None:
    # A stack of its own: other tests say that Zipkin has their orders and nothing else.
    with Stack(Settings.isolated(tmp_path / "stack")) as stack:
        stack.up(*PARTS)
        compare([Entry.load(name) for name in MOST_TELLING], stack.settings, tmp_path)
