"""A person in front of the page: what they do and see."""

import re
from collections.abc import Sequence

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

COMPLETE_S = 60


class Visitor:
    """What can be done with the page, and what it shows."""

    def __init__(self, page: Page) -> None:
        self.page = page

    def place(self, scenario: str = "") -> str:
        """Place the order as the form has it, by the button of a scenario or the usual one; return its trace id."""
        before = self.page.url
        expect(self.page.locator("#order")).not_to_have_attribute("aria-busy", "true")
        self.page.click(f"#scenarios button[value={scenario}]" if scenario else "#submit")
        expect(self.page).not_to_have_url(before)
        return self.trace_id

    @property
    def trace_id(self) -> str:
        """The trace that the address names."""
        found = re.search(r"/journeys/([0-9a-f]{32})$", self.page.url)
        assert found, self.page.url
        return found[1]

    def expect_state(self, state: str, words: str = "", *, within: float = COMPLETE_S) -> None:
        """Wait until the page says that the journey is in this state."""
        place = self.page.locator("#state")
        expect(place).to_have_attribute("data-state", state, timeout=within * 1000)
        expect(place).to_contain_text(words)

    def expect_complete(self, spans: int = 6) -> None:
        """Wait until the journey has ended with an e-mail, and all spans are there: the last may come first."""
        self.expect_state("done")
        expect(self.page.locator("#spans tbody tr")).to_have_count(spans)

    def states(self) -> Sequence[str]:
        """Return the states that the page has told of since it was loaded, one after the other."""
        states: list[str] = self.page.evaluate("window.states")
        return states

    def bars(self, kind: str = "work") -> Sequence[tuple[str, str]]:
        """Return the lane and the span of each bar of a kind: work, wait or untaken."""
        script = "rows => rows.map(row => [row.closest('.lane').dataset.lane, row.dataset.span])"
        return [(lane, span) for lane, span in self.page.locator(f"#picture .item.{kind}").evaluate_all(script)]

    def rows(self) -> Sequence[Sequence[str]]:
        """Return the table: span, service, kind, start, duration, wait and remarks of each."""
        script = "rows => rows.map(row => [...row.cells].map(cell => cell.textContent))"
        rows: list[list[str]] = self.page.locator("#spans tbody tr").evaluate_all(script)
        return rows

    def serious_barriers(self) -> Sequence[str]:
        """Return what axe-core finds that keeps people out."""
        # While a bar appears, its colours are not yet those that will be there. One that is drawn anew
        # meanwhile is at rest too: its animation is aborted.
        self.page.evaluate("Promise.allSettled(document.getAnimations().map(each => each.finished))")
        found = Axe().run(self.page).response["violations"]
        return [
            f"{each['id']}: {node['html'][:200]} {node['failureSummary']}"
            for each in found
            if each["impact"] in ("serious", "critical")
            for node in each["nodes"]
        ]

    def scrolls_sideways(self) -> bool:
        """Tell whether the page is wider than the window."""
        wider: bool = self.page.evaluate("document.documentElement.scrollWidth > innerWidth")
        return wider
