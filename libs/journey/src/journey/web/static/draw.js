// A journey as a picture (lanes with bars) and as a table.

import { axisOf } from "./axis.js";
import { element } from "./dom.js";
import { inWords } from "./journey.js";

const ROOM_FOR_A_LABEL = 0.34; // of the axis

/** Draw the lanes; `known` has the ids of spans that are no news. Return the axis and the drawn items. */
export function drawLanes(picture, journey, known) {
  const axis = axisOf(journey.items);
  const drawn = [];
  const lanes = journey.lanes.map(({ name, items }) => {
    const rows = items.map((item) => drawItem(item, axis, !known.has(item.span.id)));
    drawn.push(...items.map((item, i) => ({ item, row: rows[i], from: axis.at(item.from), to: axis.at(item.to) })));
    const track = element("div", { class: "track" }, ...rows);
    return element("div", { class: "lane", "data-lane": name }, element("div", { class: "lane-name" }, name), track);
  });
  const total = Number.isFinite(journey.end - journey.start) ? inWords(journey.end - journey.start) : "";
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

function labelOf({ kind, from, to, span }) {
  if (kind === "untaken") return [element("span", {}, untakenIn(span.topic))];
  const time = element("span", { class: "time" }, inWords(to - from));
  if (kind === "wait") return ["waited ", time];
  return [span.error ? "✗ " : "", span.name, span.duplicate ? " (duplicate) " : " ", time];
}

function untakenIn(topic) {
  if (topic.endsWith(".dlq")) return "kept here as a dead letter";
  return topic.endsWith(".retry") ? "waits for the next try" : "waits";
}

/** The journey in words: a row for each span. */
export function drawTable(body, journey) {
  const names = new Map(journey.spans.map(({ id, name }) => [id, name]));
  body.replaceChildren(...journey.spans.map((span) => drawRow(span, journey.start, names)));
}

function drawRow(span, start, names) {
  const name = element("th", { scope: "row" }, span.name);
  name.style.setProperty("--depth", Math.min(span.depth, 8));
  const cells = [
    span.service,
    span.kind.toLowerCase(),
    span.start === null ? "?" : `+${inWords(span.start - start)}`,
    span.start === null ? "?" : inWords(span.duration),
    span.wait === null ? "" : `${inWords(span.wait)} in ${span.topic}`,
    remarksOn(span, names),
  ];
  const attributes = { class: span.error ? "failed" : null, "data-span": span.name };
  return element("tr", attributes, name, ...cells.map((text) => element("td", {}, text)));
}

function remarksOn(span, names) {
  const links = span.links.map((id) => names.get(id) ?? `span ${id}`).join(", ");
  return [
    span.error && `✗ ${span.error}`,
    span.duplicate && `duplicate: recognised, and nothing done again${links && `; linked to ${links}`}`,
    span.untaken && untakenIn(span.topic),
    span.parentId && !span.parent && span.kind !== "SERVER" && `its parent, span ${span.parentId}, is missing`,
  ]
    .filter(Boolean)
    .join("; ");
}
