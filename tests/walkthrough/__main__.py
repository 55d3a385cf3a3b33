"""`make walkthrough`: run every command of the page on a stack of its own, take the pictures, write what came of it."""

import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Browser
from stack import Settings, Stack, demo

from tests.walkthrough.code_links import with_right_lines
from tests.walkthrough.page import PAGE, Picture, Step, rewritten
from tests.walkthrough.pictures import NoBrowserError, browser, take
from tests.walkthrough.shell import Shell

# `make demo` places one too: the first orders, in each partition of a topic, are slower than those after them.
WARM_UP = 6


def main() -> int:
    text = with_right_lines(PAGE.read_text(), PAGE.parent)
    if sys.argv[1:] != ["links"]:
        try:
            text = _made_anew(text)
        except NoBrowserError as error:
            print(f"walkthrough: {error}", file=sys.stderr)
            return 1
    PAGE.write_text(text)
    return 0


def _made_anew(text: str) -> str:
    with tempfile.TemporaryDirectory() as folder, browser() as chromium:
        with Stack(Settings.isolated(Path(folder), environment={"DEMO_FAULTS": "1"})) as stack:
            stack.up()
            for _ in range(WARM_UP):
                demo.show_one_order(stack.settings)
            shell = Shell(stack.settings)
            return rewritten(text, lambda step: _done(step, shell, chromium))


def _done(step: Step, shell: Shell, chromium: Browser) -> str | None:
    if isinstance(step, Picture):
        print(f"picture {step.file.name}", flush=True)
        take(chromium, step.kind, shell.expand(step.address), step.file)
        return None
    print(f"$ {step.text}", end="", flush=True)
    ran = shell.run(step)
    if ran.exit_code:
        raise SystemExit(f"exit code {ran.exit_code}:\n{ran.output}")
    return ran.output


if __name__ == "__main__":
    sys.exit(main())
