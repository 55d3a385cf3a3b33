"""The pictures of the walkthrough: what a browser shows, as small PNG files."""

import io
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from PIL import Image, ImageChops
from playwright.sync_api import Browser, Locator, Page, sync_playwright

MAX_BYTES: Final = 150_000
MIN_WIDTH: Final = 600
WIDTH: Final = 1100
MARGIN: Final = 24
_PROGRAMS: Final = ("chromium", "chromium-browser", "google-chrome")
_COLOURS: Final = (256, 128, 64)


class NoBrowserError(Exception):
    """There is no Chromium on this machine."""


@contextmanager
def browser() -> Iterator[Browser]:
    """Run the machine's own Chromium without a window. Raises NoBrowserError where there is none."""
    program = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, _PROGRAMS)), None)
    if program is None:
        raise NoBrowserError("no Chromium here: install it (apt-get install chromium), or set CHROMIUM to its path")
    with sync_playwright() as playwright:
        # Root has no sandbox; what is opened is our own.
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        browser.close()


def take(browser: Browser, kind: str, address: str, file: Path) -> None:
    """Write the picture of one of KINDS into *file*. Raises ValueError where it cannot be made small."""
    shot = KINDS[kind]
    context = browser.new_context(
        viewport={"width": WIDTH, "height": shot.height},
        device_scale_factor=shot.scale,
        color_scheme="light",
    )
    with context:
        page = context.new_page()
        page.goto(address)
        picture = _at_rest(page, shot.subject(page))
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(small(picture))


def _at_rest(page: Page, subject: Locator) -> bytes:
    """Return a picture of the subject once it does not change any more."""
    page.wait_for_load_state("networkidle")
    picture, before = subject.screenshot(), b""
    while picture != before:
        page.wait_for_timeout(2000)  # more than the page waits before it asks Zipkin again
        picture, before = subject.screenshot(), picture
    return picture


def small(picture: bytes) -> bytes:
    """Return the same PNG without empty space below, and with as many colours as let it stay under MAX_BYTES."""
    image = _without_empty_space_below(Image.open(io.BytesIO(picture)).convert("RGB"))
    for colours in _COLOURS:
        into = io.BytesIO()
        image.quantize(colours, dither=Image.Dither.NONE).save(into, "PNG", optimize=True)
        if len(into.getvalue()) < MAX_BYTES:
            return into.getvalue()
    raise ValueError(f"a picture of {image.size} pixels does not fit into {MAX_BYTES} bytes")


def _without_empty_space_below(image: Image.Image) -> Image.Image:
    empty = Image.new("RGB", image.size, image.getpixel((0, image.height - 1)))
    *_, lowest = ImageChops.difference(image, empty).getbbox() or (image.height,)
    return image.crop((0, 0, image.width, min(lowest + MARGIN, image.height)))


@dataclass(frozen=True)
class _Shot:
    """What of a page is in the picture; *subject* waits until it is all there. A scale over 1 makes text larger."""

    subject: Callable[[Page], Locator]
    height: int = 700
    scale: float = 1


def _page(page: Page) -> Locator:
    _journey(page)
    return page.locator("body")


def _journey(page: Page) -> Locator:
    page.locator("#picture").get_by_text("send email").wait_for()
    return page.locator("#picture")


def _zipkin_trace(page: Page) -> Locator:
    page.get_by_text("billing: process orders").click()
    page.get_by_text("Tags", exact=True).evaluate("tags => tags.scrollIntoView()")
    return page.locator("body")


def _zipkin_dependencies(page: Page) -> Locator:
    page.get_by_role("button", name="Run query").click()
    return page.locator("body")


KINDS: Final[Mapping[str, _Shot]] = {
    "page": _Shot(_page),
    "journey": _Shot(_journey, scale=1.5),
    "zipkin-trace": _Shot(_zipkin_trace, height=640),
    "zipkin-dependencies": _Shot(_zipkin_dependencies),
}
