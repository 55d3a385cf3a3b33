// What the page asks of others: orders to take an order, Zipkin for traces.

const ORDERS_PATIENCE_MS = 20_000;
const ZIPKIN_PATIENCE_MS = 10_000;
// Zipkin refuses a single id here. The other way, /trace/{id}, says 404 for "not yet", which browsers log as an error.
const NOBODYS_TRACE = "00000000000000a1";

/** Place an order; the same key never places two. Rejects where there is no answer at all. */
export async function placeOrder(order, key, scenario) {
  const response = await fetch(`${document.body.dataset.prefix}/orders`, {
    method: "POST",
    headers: {
      "Content-Type": "application/json",
      "Idempotency-Key": key,
      ...(scenario && { baggage: `demo.scenario=${scenario}` }),
    },
    body: JSON.stringify(order),
    signal: AbortSignal.timeout(ORDERS_PATIENCE_MS),
  });
  return {
    accepted: response.status === 202,
    status: response.status,
    document: await response.json().catch(() => ({})),
    traceparent: response.headers.get("traceresponse"),
    retryAfter: response.headers.get("Retry-After"),
  };
}

/** Get the spans of the traces that Zipkin has, by trace id. Rejects where Zipkin does not answer. */
export async function fetchTraces(zipkinUrl, traceIds) {
  const wanted = new Map(traceIds.map((id) => [asZipkinHas(id), id]));
  const ids = [...wanted.keys(), NOBODYS_TRACE].join(",");
  const response = await fetch(`${zipkinUrl}/api/v2/traceMany?traceIds=${ids}`, {
    signal: AbortSignal.timeout(ZIPKIN_PATIENCE_MS),
  });
  if (!response.ok) throw new Error(`Zipkin answers ${response.status}`);
  const traces = (await response.json()).filter((spans) => wanted.has(spans[0]?.traceId));
  return new Map(traces.map((spans) => [wanted.get(spans[0].traceId), spans]));
}

// A trace id whose upper half is zero is one of 64 bits to Zipkin.
function asZipkinHas(id) {
  return id.length === 32 && id.startsWith("0".repeat(16)) ? id.slice(16) : id;
}
