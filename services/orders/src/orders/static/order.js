// Places orders, and tells the page of the journey that each begins.

import { OrderForm } from "./form.js";

const DOUBLE_CLICK_MS = 700;
const PATIENCE_MS = 20_000;

const form = new OrderForm(document.getElementById("order"));

// One key for one intended order: pressed again after no answer, it is not placed again.
let intended = { text: "", key: "" };

document.getElementById("order").addEventListener("submit", async (event) => {
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
  const detail = { traceId, orderId, traceparent, scenario };
  document.dispatchEvent(new CustomEvent("journey-begun", { detail }));
}

function newKey() {
  // Not randomUUID: over plain HTTP browsers have it for localhost only.
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** Place an order; the same key never places two. Rejects if there is no answer at all. */
async function placeOrder(order, key, scenario) {
  const response = await fetch(`${document.body.dataset.prefix}/orders`, {
    method: "POST",
    headers: {
      "Content-Type": "application/json",
      "Idempotency-Key": key,
      ...(scenario && { baggage: `demo.scenario=${scenario}` }),
    },
    body: JSON.stringify(order),
    signal: AbortSignal.timeout(PATIENCE_MS),
  });
  return {
    accepted: response.status === 202,
    status: response.status,
    document: await response.json().catch(() => ({})),
    traceparent: response.headers.get("traceresponse"),
    retryAfter: response.headers.get("Retry-After"),
  };
}
