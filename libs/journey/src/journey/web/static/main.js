// The page: shows one journey, lists recent ones and this browser's own. The address says which journey is on show.

import { element, say } from "./dom.js";
import { drawLanes, drawTable } from "./draw.js";
import { ownOrder, ownOrders, remember, rememberSeen } from "./own.js";
import { Recent } from "./recent.js";
import { Replay } from "./replay.js";
import { inWords } from "./times.js";
import { Watch } from "./watch.js";
import { wordsFor } from "./words.js";

const find = (id) => document.getElementById(id);
const { zipkinUrl, prefix, canLook } = document.body.dataset;
const pageOf = (traceId) => `${prefix}/journeys/${traceId}`;
const replay = new Replay(find("picture"), find("replay-button"), find("replay-says"));
const watch = new Watch(Boolean(canLook), render);
const recent = new Recent(find("recent"), Boolean(canLook), { pageOf, open });
let drawn = null; // the journey that the picture shows
let shownId = null;

// ---- a form of the host has begun a journey ----

document.addEventListener("journey-begun", ({ detail }) => {
  if (!detail.traceId) return showNothing("untraced");
  remember({ ...detail, placed: Date.now(), seen: false });
  open(detail.traceId);
});

// ---- showing ----

function open(traceId) {
  history.pushState(null, "", pageOf(traceId));
  show(traceId);
  if (find("journey").getBoundingClientRect().top > innerHeight / 2) find("journey").scrollIntoView();
}

function show(traceId) {
  if (shownId !== traceId) clearPicture();
  shownId = traceId;
  say(find("trace-id"), traceId);
  find("facts").hidden = false;
  find("permalink").href = pageOf(traceId);
  find("in-zipkin").hidden = !zipkinUrl;
  if (zipkinUrl) find("in-zipkin").href = `${zipkinUrl}/zipkin/traces/${traceId}`;
  watch.show(traceId, ownOrder(traceId));
}

function showNothing(state) {
  shownId = watch.shown = null;
  clearPicture();
  find("facts").hidden = true;
  showState({ state });
  showVerdict(null);
  renderList();
}

function clearPicture() {
  drawn = null;
  replay.load(null);
  find("drawing").hidden = true;
  find("picture").replaceChildren();
  say(find("total"), "");
}

/** Show what is known now. */
function render() {
  renderList();
  if (!shownId) return;
  const about = watch.stateOf(shownId);
  showState(about);
  const { journey, diagnosis } = watch.traces.get(shownId);
  say(find("traceparent"), ownOrder(shownId)?.traceparent ?? traceparentOf(journey));
  if (journey && journey !== drawn) draw(journey);
  showVerdict(diagnosis);
}

/** The doctor's verdict, and what to check. */
function showVerdict(diagnosis) {
  const place = find("verdict");
  place.hidden = !diagnosis;
  const shows = JSON.stringify(diagnosis);
  if (!diagnosis || place.dataset.shows === shows) return;
  place.dataset.shows = shows;
  place.dataset.verdict = diagnosis.verdict;
  say(place.querySelector("strong"), diagnosis.verdict);
  const findings = diagnosis.findings.map(({ cause, says, check }) =>
    element("li", {}, element("b", {}, cause), `: ${says} `, element("span", { class: "hint" }, `Check: ${check}`)),
  );
  place.querySelector("ul").replaceChildren(...findings);
}

function showState(about) {
  const { state } = about;
  const [name, sentence] = wordsFor(about);
  const place = find("state");
  place.dataset.state = state;
  say(place.querySelector("strong"), name);
  say(place.querySelector("span"), sentence);
}

function draw(journey) {
  const known = new Set(drawn?.spans.map(({ id }) => id));
  const view = drawLanes(find("picture"), journey, known);
  drawTable(find("spans").tBodies[0], journey);
  find("drawing").hidden = false;
  find("shortened").hidden = !view.axis.shortens;
  const total = inWords(journey.end - journey.start);
  say(find("total"), `${journey.spans.length} ${journey.spans.length === 1 ? "span" : "spans"}, ${total} in all`);
  replay.load(view);
  drawn = journey;
}

/** The context of the request that placed the order, as its own span has it. */
function traceparentOf(journey) {
  const first = journey?.spans.find(({ kind }) => kind === "SERVER");
  return first ? `00-${shownId.padStart(32, "0")}-${first.id}-01` : "–";
}

// ---- this browser's own orders ----

function renderList() {
  const entries = ownOrders().map(listed);
  const list = find("own").querySelector("ol");
  find("own").hidden = !entries.length;
  if (list.dataset.shows === JSON.stringify(entries)) return; // a new element would lose the focus
  list.dataset.shows = JSON.stringify(entries);
  const focused = document.activeElement?.dataset.traceId;
  list.replaceChildren(...entries.map(drawEntry));
  if (focused) list.querySelector(`a[data-trace-id="${focused}"]`)?.focus();
}

function listed(order) {
  watch.add(order.traceId, order);
  if (!order.seen && watch.traces.get(order.traceId).seen) rememberSeen(order);
  const about = watch.stateOf(order.traceId);
  return { ...order, state: about.state, words: wordsFor(about)[0], shown: order.traceId === shownId };
}

function drawEntry({ traceId, placed, scenario, state, words, shown }) {
  const link = element(
    "a",
    { href: pageOf(traceId), "data-trace-id": traceId, "aria-current": shown ? "true" : null },
    element("span", { class: "when" }, new Date(placed).toLocaleString()),
    element("code", {}, traceId.slice(0, 8)),
    element("span", { class: "what" }, scenario || "as usual"),
    element("span", { class: "state", "data-state": state }, words),
  );
  link.addEventListener("click", (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    open(traceId);
  });
  return element("li", {}, link);
}

// ---- the rest ----

for (const button of document.querySelectorAll("[data-copies]")) {
  const words = button.textContent;
  button.addEventListener("click", async () => {
    const source = find(button.dataset.copies);
    try {
      await navigator.clipboard.writeText(source.textContent);
      say(button, "Copied");
    } catch {
      getSelection().selectAllChildren(source); // over plain HTTP browsers let people copy, not pages
      say(button, "Selected: press Ctrl+C");
    }
    setTimeout(() => say(button, words), 2_000);
  });
}

function followAddress() {
  const [, asked] = /\/journeys\/([^/]+)$/.exec(location.pathname) ?? [];
  const traceId = asked?.toLowerCase();
  if (traceId && /^(?!0+$)([0-9a-f]{16}){1,2}$/.test(traceId)) return show(traceId);
  showNothing(asked ? "no-trace-id" : canLook ? "none" : "no-zipkin");
  recent.look();
}

addEventListener("popstate", followAddress);
followAddress();
