// What the spans of a trace say about an order's journey. Pure functions: spans of Zipkin's API v2 in, plain objects
// out. Times are microseconds.

const USUAL_LANES = ["orders", "kafka/orders", "billing", "kafka/invoices", "notifier", "mail"];

/** Read a trace: its spans (the earliest first), its state, and the lanes to draw. There is at least one span. */
export function readJourney(zipkinSpans) {
  const spans = zipkinSpans.map(readSpan).sort((a, b) => (a.start ?? Infinity) - (b.start ?? Infinity));
  const byId = new Map(spans.toReversed().map((span) => [span.id, span]));
  const parents = new Set(spans.map((span) => span.parentId));
  for (const span of spans) {
    span.parent = byId.get(span.parentId) ?? null;
    span.depth = depthOf(span, byId);
    span.wait = waitOf(span);
    // Nobody has taken this message yet, as far as Zipkin knows.
    span.untaken = span.kind === "PRODUCER" && !parents.has(span.id);
  }
  const items = spans.flatMap(itemsOf);
  const times = items.flatMap(({ from, to }) => [from, to]);
  return { spans, items, lanes: lanesOf(items), start: Math.min(...times), end: Math.max(...times), ...stateOf(spans) };
}

function readSpan(span) {
  const tags = span.tags ?? {};
  const service = span.localEndpoint?.serviceName ?? "";
  const remote = span.remoteEndpoint?.serviceName ?? "";
  return {
    id: span.id,
    parentId: span.parentId,
    name: span.name || "(no name)",
    kind: span.kind ?? "INTERNAL",
    service,
    topic: tags["messaging.destination.name"] ?? remote.replace(/^kafka\//, ""),
    lane: span.kind === "CLIENT" && remote === "smtp" ? "mail" : service,
    start: span.timestamp ?? null,
    duration: span.duration ?? 0,
    noted: Number.parseFloat(tags["journey.queue.wait_ms"]),
    duplicate: tags["journey.duplicate"] === "true",
    links: Object.entries(tags).filter(([name]) => name.startsWith("otlp.link.")).map(([, link]) => link.split("|")[1]),
    error: "error" in tags ? errorOf(tags) : null,
  };
}

function errorOf(tags) {
  const type = tags["error.type"] ?? "";
  const description = tags["otel.status_description"] ?? "";
  if (description.startsWith(`${type}: `)) return description; // OpenTelemetry's own begin with the type
  return [type, description].filter(Boolean).join(": ") || tags.error || "failed";
}

function depthOf(span, byId) {
  const met = new Set([span.id]);
  let above = byId.get(span.parentId);
  for (; above && !met.has(above.id); above = byId.get(above.parentId)) met.add(above.id);
  return met.size - 1;
}

/** How long the message waited: as its consumer noted it, else the gap between the spans; null where nothing tells. */
function waitOf(span) {
  if (span.kind !== "CONSUMER" || span.start === null) return null;
  if (span.noted >= 0) return span.noted * 1000;
  if (span.parent?.kind !== "PRODUCER" || span.parent.start === null) return null;
  return Math.max(0, span.start - span.parent.start - span.parent.duration);
}

/** A span's bar, and the bar of the wait before or after it. */
function itemsOf(span) {
  if (span.start === null) return [];
  const end = span.start + span.duration;
  const items = [{ kind: "work", lane: span.lane, from: span.start, to: end, span }];
  const queue = `kafka/${span.topic}`;
  if (span.wait !== null) items.push({ kind: "wait", lane: queue, from: span.start - span.wait, to: span.start, span });
  if (span.untaken) items.push({ kind: "untaken", lane: queue, from: end, to: end, span });
  return items;
}

/** The usual lanes, and where others are needed those: a service's retries and dead letters come behind the service. */
function lanesOf(items) {
  const names = [...USUAL_LANES];
  for (const { lane } of items) {
    if (names.includes(lane)) continue;
    const owner = ownerOf(lane);
    const behind = names.findLastIndex((name) => owner && (name === owner || ownerOf(name) === owner));
    names.splice(behind === -1 ? names.length : behind + 1, 0, lane);
  }
  const inLane = (name) => items.filter(({ lane }) => lane === name).sort((a, b) => a.from - b.from);
  return names.map((name) => ({ name, items: inLane(name) }));
}

function ownerOf(lane) {
  return /^kafka\/([^.]+)\.(retry|dlq)$/.exec(lane)?.[1];
}

/** Where the journey is. A dead letter is told of even where another branch has come to its end. */
function stateOf(spans) {
  const tries = spans.filter(({ kind, error }) => kind === "CONSUMER" && error).length;
  const waitingIn = (end) => spans.find(({ untaken, topic }) => untaken && topic.endsWith(end))?.topic;
  const dead = waitingIn(".dlq");
  const retry = waitingIn(".retry");
  if (dead) return { state: "dead", topic: dead, tries };
  if (retry) return { state: "retry", topic: retry, tries };
  const sent = spans.some(({ name, error }) => name === "send email" && !error);
  return { state: sent ? "done" : "under-way", topic: null, tries };
}

/** Say a time as people do. */
export function inWords(microseconds) {
  if (microseconds < 1_000) return `${Math.round(microseconds)} µs`;
  if (microseconds < 1_000_000) return `${(microseconds / 1_000).toFixed(1)} ms`;
  if (microseconds < 60_000_000) return `${(microseconds / 1_000_000).toFixed(2)} s`;
  return `${Math.floor(microseconds / 60_000_000)} min ${Math.floor(microseconds / 1_000_000) % 60} s`;
}
