// A journey as a picture (lanes with bars) and as a table.

import { axisOf } from "./axis.js";
import { element } from "./dom.js";
import { inWords } from "./times.js";

const ROOM_FOR_A_LABEL = 0.34; // of the axis
const HUES = 4;

/** Draw the lanes; `known` has the ids of spans that are no news. Return the axis and the drawn items. */
export function drawLanes(picture, journey, known) {
  const axis = axisOf(journey.items);
  const drawn = [];
  const lanes = journey.lanes.map(({ name, items }) => {
    const rows = items.map((item) => drawItem(item, axis, !known.has(item.span.id)));
    drawn.push(...items.map((item, i) => ({ item, row: rows[i], from: axis.at(item.from), to: axis.at(item.to) })));
    const track = element("div", { class: "track" }, ...rows);
    const attributes = { class: "lane", "data-lane": name, "data-hue": hueOf(name, journey) };
    return element("div", attributes, element("div", { class: "lane-name" }, name), track);
  });
  const total = journey.start === null ? "" : inWords(journey.end - journey.start);
  const scale = element("div", { class: "scale" }, element("span", {}, "0"), element("span", {}, total));
  picture.replaceChildren(...lanes, scale);
  return { axis, drawn: drawn.sort((a, b) => a.item.from - b.item.from) };
}

function drawItem(item, axis, isNew) {
  const from = axis.at(item.from);
  const to = axis.at(item.to);
  const side = 1 - to >= ROOM_FOR_A_LABEL ? "after" : from >= ROOM_FOR_A_LABEL ? "before" : "inside";
  const classes = ["item", item.kind, `label-${side}`];
  if (item.kind === "work" && item.span.error) classes.push("failed");
  if (item.span.duplicate) classes.push("duplicate");
  if (axis.shortened(item)) classes.push("short");
  if (isNew) classes.push("new");
  const row = element(
    "div",
    { class: classes.join(" "), "data-span": item.span.name, "data-service": item.span.service },
    element("div", { class: "bar" }),
    element("div", { class: "label" }, ...labelOf(item)),
  );
  row.style.setProperty("--from", from);
  row.style.setProperty("--to", to);
  return row;
}

function labelOf({ kind, from, to, span, words }) {
  if (kind === "untaken") return [element("span", {}, words)];
  const time = element("span", { class: "time" }, inWords(to - from));
  if (kind === "wait") return ["waited ", time];
  return [span.error ? "✗ " : "", span.name, span.duplicate ? " (duplicate) " : " ", time];
}

/** Services have a hue each, in the order of their lanes; queues have none. */
function hueOf(name, { lanes }) {
  if (name.startsWith("kafka/")) return null;
  return lanes.filter((lane) => !lane.name.startsWith("kafka/")).findIndex((lane) => lane.name === name) % HUES;
}

/** The journey in words: a row for each span. */
export function drawTable(body, journey) {
  body.replaceChildren(...journey.spans.map((span) => drawRow(span, journey.start)));
}

function drawRow(span, start) {
  const name = element("th", { scope: "row" }, span.name);
  name.style.setProperty("--depth", Math.min(span.depth, 8));
  const cells = [
    span.service,
    span.kind.toLowerCase(),
    span.start === null ? "?" : `+${inWords(span.start - start)}`,
    span.start === null ? "?" : inWords(span.duration),
    span.wait === null ? "" : `${inWords(span.wait)} in ${span.topic}`,
    span.remarks,
  ];
  const attributes = { class: span.error ? "failed" : null, "data-span": span.name };
  return element("tr", attributes, name, ...cells.map((text) => element("td", {}, text)));
}
