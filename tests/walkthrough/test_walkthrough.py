"""docs/walkthrough.md: its commands work, print what it shows, and its pictures and links are there."""

import difflib
import os
import re
import shutil
from pathlib import Path

import pytest
from PIL import Image
from stack import Stack

from tests.walkthrough.code_links import line_of, with_right_lines
from tests.walkthrough.page import PAGE, REPOSITORY, Command, Picture, steps
from tests.walkthrough.pictures import MAX_BYTES, MIN_WIDTH
from tests.walkthrough.shell import Shell
from tests.walkthrough.structure import structure

TEXT = PAGE.read_text()
COMMANDS = [step for step in steps(TEXT) if isinstance(step, Command)]
PICTURES = [step for step in steps(TEXT) if isinstance(step, Picture)]


@pytest.mark.long
@pytest.mark.skipif(not shutil.which("curl") and not os.environ.get("CI"), reason="no curl here: install it")
def test_every_command_works_and_its_output_has_the_structure_that_the_page_shows(demo: Stack) -> None:
    shell = Shell(demo.settings)
    for command in COMMANDS:
        ran = shell.run(command)

        assert ran.exit_code == 0, f"{command.text}ended with {ran.exit_code}:\n{ran.output}"
        if command.output is not None:
            shown, printed = structure(command.output), structure(ran.output)
            assert shown == printed, _difference(command, shown, printed)


def _difference(command: Command, shown: str, printed: str) -> str:
    lines = difflib.unified_diff(shown.splitlines(), printed.splitlines(), "the page", "now", lineterm="")
    return "\n".join([f"the output of this command has changed: run `make walkthrough`\n{command.text}", *lines])


def test_every_block_of_shell_commands_but_the_start_is_run() -> None:
    fences = re.findall(r"^```(sh.*)$", TEXT, re.M)

    assert len(COMMANDS) == fences.count("sh") > 0
    assert [fence for fence in fences if fence != "sh"] == ["sh in another terminal"]


@pytest.mark.parametrize("picture", PICTURES, ids=lambda picture: picture.file.name)
def test_a_picture_is_small_and_legible_and_said_in_words(picture: Picture) -> None:
    with Image.open(picture.file) as image:
        assert image.format == "PNG"
        assert image.width >= MIN_WIDTH
    assert picture.file.stat().st_size < MAX_BYTES
    assert len(picture.seen) > 40


def test_no_picture_lies_around() -> None:
    pages = "\n".join(page.read_text() for page in (REPOSITORY / "README.md", *PAGE.parent.glob("*.md")))

    assert not [file.name for file in (PAGE.parent / "pictures").iterdir() if f"pictures/{file.name}" not in pages]


def test_each_link_to_code_leads_to_the_line_that_it_names() -> None:
    right = with_right_lines(TEXT, PAGE.parent)

    assert "#L" in TEXT
    assert TEXT == right, "lines have moved: run `uv run python -m tests.walkthrough links`"


def test_every_other_link_leads_somewhere() -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]*)(?:#([^)]+))?\)", TEXT)
    pages = {link: PAGE.parent / link if link else PAGE for link, _ in links}
    anchors = [(link, anchor) for link, anchor in links if anchor and pages[link].suffix == ".md"]

    assert not [link for link, page in pages.items() if not page.exists()]
    assert not [(link, anchor) for link, anchor in anchors if anchor not in _anchors(pages[link])]


def _anchors(page: Path) -> set[str]:
    titles = re.findall(r"^#+ (.+)$", page.read_text(), re.M)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


def test_ids_times_and_bars_are_no_structure_but_words_are() -> None:
    drawn = "└─ send orders  orders  producer  12.8 ms   ███\n"

    assert structure(drawn) == structure("└─ send orders   orders  producer  1.02 s ██\n")
    assert structure(drawn) != structure(drawn.replace("producer", "consumer"))
    assert structure(drawn) != structure(f"   {drawn}")
    assert structure('{"trace_id": "46418fe527cff64e6cd9430b44ed6f46"}') == '{"trace_id": "<id>"}'


def test_a_line_is_found_by_the_name_that_it_declares(tmp_path: Path) -> None:
    code = "import send\n\nclass Desk:\n    async def send(self): ...\n\nRATE: Final = 3\nsend()\n"

    assert line_of("Desk.send", code) == 4
    assert line_of("RATE", code) == 6
    assert line_of("import send", code) == 1
    assert line_of("receive", code) is None
    with pytest.raises(LookupError):
        (tmp_path / "desk.py").write_text(code)
        with_right_lines("[`receive`](desk.py#L1)", tmp_path)
