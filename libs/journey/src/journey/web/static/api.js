// What the page asks of its server, which reads and judges the spans.

const PATIENCE_MS = 10_000;

/** As many requests as may wait for Zipkin do so: nothing is known, and nothing is wrong. */
export class Busy extends Error {}

/** Get drawings of the traces that Zipkin has, by trace id. Rejects if Zipkin does not answer. */
export async function fetchDrawings(traceIds) {
  const { journeys } = await ask(`?ids=${traceIds.join(",")}`);
  return new Map(Object.entries(journeys).map(([id, drawing]) => [id, withSpans(drawing)]));
}

/** Get what the doctor says of a journey; null if there is no such journey. */
export async function fetchDiagnosis(traceId) {
  return (await ask(`/${traceId}`)).diagnosis;
}

/** Get recent journeys; `wanted` are the fields of the search. */
export async function fetchRecent(wanted) {
  return (await ask(`?${new URLSearchParams(wanted)}`)).journeys;
}

async function ask(what) {
  const response = await fetch(`${document.body.dataset.prefix}/api/journeys${what}`, {
    signal: AbortSignal.timeout(PATIENCE_MS),
  });
  if (response.status === 503) throw new Busy();
  if (!response.ok) throw new Error(`the answer is ${response.status}`);
  return response.json();
}

function withSpans(drawing) {
  for (const item of drawing.lanes.flatMap(({ items }) => items)) item.span = drawing.spans[item.span];
  return { ...drawing, items: drawing.lanes.flatMap(({ items }) => items) };
}
