// The page: places orders, shows one journey, lists this browser's own. The address says which journey is on show.

import { placeOrder } from "./api.js";
import { element, say } from "./dom.js";
import { drawLanes, drawTable } from "./draw.js";
import { OrderForm } from "./form.js";
import { inWords } from "./journey.js";
import { ownOrder, ownOrders, remember, rememberSeen } from "./own.js";
import { Replay } from "./replay.js";
import { Watch } from "./watch.js";
import { wordsFor } from "./words.js";

const DOUBLE_CLICK_MS = 700;

const find = (id) => document.getElementById(id);
const { zipkinUrl, prefix } = document.body.dataset;
const pageOf = (traceId) => `${prefix}/journeys/${traceId}`;
const form = new OrderForm(find("order"));
const replay = new Replay(find("picture"), find("replay-button"), find("replay-says"));
const watch = new Watch(zipkinUrl, render);
let drawn = null; // the journey that the picture shows
let shownId = null;

// ---- placing ----

// One key for one intended order: pressed again after no answer, it is not placed again.
let intended = { text: "", key: "" };

find("order").addEventListener("submit", async (event) => {
  event.preventDefault();
  const orderForm = event.currentTarget;
  if (orderForm.ariaBusy === "true") return;
  orderForm.ariaBusy = "true";
  await place(form.read(), event.submitter?.value ?? "");
  setTimeout(() => (orderForm.ariaBusy = "false"), DOUBLE_CLICK_MS);
});

async function place(order, scenario) {
  const text = JSON.stringify([order, scenario]);
  if (intended.text !== text) intended = { text, key: newKey() };
  form.clearProblems();
  let answer;
  try {
    answer = await placeOrder(order, intended.key, scenario);
  } catch {
    return form.showProblem("orders does not answer. Place it again: the same order is not placed twice.");
  }
  if (!answer.accepted) return refused(answer);
  intended = { text: "", key: "" };
  accepted(answer, scenario);
}

function refused({ status, document: problem, retryAfter }) {
  const again = retryAfter ? ` Try again in ${retryAfter} s: it is not placed twice.` : "";
  form.showProblem((problem.detail ?? `orders answers with status ${status}.`) + again, problem.errors);
}

function accepted({ document: order, traceparent }, scenario) {
  const { trace_id: traceId, order_id: orderId } = order;
  if (!traceId) return showNothing("untraced");
  remember({ traceId, orderId, traceparent, scenario, placed: Date.now(), seen: false });
  open(traceId);
}

function newKey() {
  // Not randomUUID: over plain HTTP browsers have it for localhost only.
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

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
  showState(state);
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
  showState(about.state, about);
  const { journey } = watch.traces.get(shownId);
  say(find("traceparent"), ownOrder(shownId)?.traceparent ?? traceparentOf(journey));
  if (journey && journey !== drawn) draw(journey);
}

function showState(state, about) {
  const [name, sentence] = wordsFor(state, about);
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
  const { state } = watch.stateOf(order.traceId);
  return { ...order, state, words: wordsFor(state)[0], shown: order.traceId === shownId };
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
  showNothing(asked ? "no-trace-id" : zipkinUrl ? "none" : "no-zipkin");
}

addEventListener("popstate", followAddress);
followAddress();
