"""Runs entries on a stack of its own: `python -m gallery NAME…` prints them, `--write` runs all and writes the page."""

import argparse
import sys
import tempfile
from pathlib import Path

from stack import Settings, Stack, StackError

from gallery.comparison import PARTS, compare
from gallery.entry import NAMES, Entry, load_all
from gallery.page import PAGE, render
from gallery.scripts import EntryFailed


def main() -> None:
    """Run the entries that are named, all by default."""
    parser = argparse.ArgumentParser(prog="python -m gallery", description="Run entries of docs/gallery.md.")
    parser.add_argument("name", nargs="*", choices=[*NAMES, []], metavar="NAME", help=", ".join(NAMES))
    parser.add_argument("--write", action="store_true", help="run all, and write docs/gallery.md")
    options = parser.parse_args()
    entries = load_all() if options.write or not options.name else [Entry.load(name) for name in options.name]
    with tempfile.TemporaryDirectory() as folder, Stack(Settings.isolated(Path(folder) / "stack")) as stack:
        try:
            stack.up(*PARTS)
            compare(entries, stack.settings, Path(folder), say=print)
        except (EntryFailed, StackError) as error:
            sys.exit(str(error))
    if options.write:
        PAGE.write_text(render(entries))


if __name__ == "__main__":
    main()
