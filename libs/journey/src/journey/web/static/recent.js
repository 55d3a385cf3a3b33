// The list of recent journeys, and the search in them.

import { Busy, fetchRecent } from "./api.js";
import { element, say } from "./dom.js";

const PAUSE_MS = 5_000;

export class Recent {
  /** `open` shows a journey, `pageOf` is its address. */
  constructor(section, canLook, { pageOf, open }) {
    Object.assign(this, { section, canLook, pageOf, open });
    this.form = section.querySelector("form");
    this.list = section.querySelector("ol");
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.search();
    });
    document.addEventListener("visibilitychange", () => this.look());
  }

  /** Search; what a trace id or a message key means is shown if it is one journey. */
  async search() {
    const found = await this.look();
    if (this.form.elements.q.value.trim() && found?.length === 1) this.open(found[0].trace_id);
  }

  /** Look now, and every few seconds while the page is on the screen. */
  async look() {
    clearTimeout(this.timer);
    if (!this.canLook || document.hidden) return;
    const asked = (this.asked = new Object());
    let journeys;
    try {
      journeys = await fetchRecent(Object.fromEntries(new FormData(this.form)));
      if (asked !== this.asked) return; // somebody has searched meanwhile
      this.show(journeys);
    } catch (error) {
      if (asked !== this.asked) return;
      if (!(error instanceof Busy)) say(this.section.querySelector(".hint"), "Zipkin does not answer. Trying again.");
    }
    this.timer = setTimeout(() => this.look(), PAUSE_MS);
    return journeys;
  }

  show(journeys) {
    say(this.section.querySelector(".hint"), journeys.length ? "The latest first." : "There is none.");
    const shows = JSON.stringify(journeys);
    if (this.list.dataset.shows === shows) return; // a new element would lose the focus
    this.list.dataset.shows = shows;
    const focused = this.list.contains(document.activeElement) && document.activeElement.getAttribute("href");
    this.list.replaceChildren(...journeys.map((each) => this.draw(each)));
    if (focused) [...this.list.querySelectorAll("a")].find((a) => a.getAttribute("href") === focused)?.focus();
  }

  draw({ trace_id: traceId, what, start, key, state, name }) {
    const link = element(
      "a",
      { href: this.pageOf(traceId) },
      element("span", { class: "when" }, start === null ? "?" : new Date(start / 1_000).toLocaleString()),
      element("code", {}, traceId.slice(0, 8)),
      element("span", { class: "what" }, key ?? what),
      element("span", { class: "state", "data-state": state }, name),
    );
    link.addEventListener("click", (event) => {
      if (event.ctrlKey || event.metaKey || event.shiftKey) return;
      event.preventDefault();
      this.open(traceId);
    });
    return element("li", {}, link);
  }
}
