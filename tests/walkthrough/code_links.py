"""Links of a page to lines of code: their text is the name that the line declares, or words that it has."""

import re
from pathlib import Path
from typing import Final

_LINK: Final = re.compile(r"\[`(?P<name>[^`]+)`\]\((?P<file>[^)#\s]+)#L(?P<line>\d+)\)")


def with_right_lines(text: str, folder: Path) -> str:
    """Return a page of *folder* with the number of the right line in each link to a line.

    Raises LookupError where the file has no such name any more.
    """

    def replace(link: re.Match[str]) -> str:
        number = line_of(link["name"], (folder / link["file"]).read_text())
        if number is None:
            raise LookupError(f"{link['file']} has no {link['name']}")
        return f"[`{link['name']}`]({link['file']}#L{number})"

    return _LINK.sub(replace, text)


def line_of(name: str, code: str) -> int | None:
    """Return the line that declares *name*, `Class.method` too; or else the first that has these words; or None."""
    lines = code.splitlines()
    found = 0
    for part in name.removesuffix("()").split("."):
        declares = re.compile(rf"\s*(async )?(def|class) {re.escape(part)}\b|{re.escape(part)}\b.* = ")
        found = next((number for number, line in enumerate(lines[found:], found + 1) if declares.match(line)), 0)
        if not found:
            return next((number for number, line in enumerate(lines, 1) if name in line), None)
    return found
