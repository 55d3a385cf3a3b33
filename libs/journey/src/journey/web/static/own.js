// The orders of this browser. Without localStorage (switched off, full) they are remembered until the page is left.

const NAME = "one-order-one-trace.orders";
const MOST = 50; // all their trace ids fit into one address
const TRACE_ID = /^(?!0+$)([0-9a-f]{16}){1,2}$/;

let orders = load();

/** All of them, the newest first: {traceId, traceparent, orderId, scenario, placed (ms), seen}. */
export function ownOrders() {
  return orders;
}

export function ownOrder(traceId) {
  return orders.find((order) => order.traceId === traceId);
}

export function remember(order) {
  orders = merged([order], orders, load());
  save();
}

/** Zipkin has had its trace: if it is gone one day, then it was forgotten. */
export function rememberSeen(order) {
  order.seen = true;
  orders = merged(orders, load());
  save();
}

/** Another tab may have placed orders meanwhile. */
function merged(...lists) {
  const all = new Map(lists.flat().toReversed().map((order) => [order.traceId, order]));
  return [...all.values()].sort((a, b) => b.placed - a.placed).slice(0, MOST);
}

function load() {
  try {
    const found = JSON.parse(localStorage.getItem(NAME));
    return found.filter((order) => TRACE_ID.test(order?.traceId) && order.placed > 0).slice(0, MOST);
  } catch {
    return []; // nothing there, or nothing that is ours
  }
}

function save() {
  try {
    localStorage.setItem(NAME, JSON.stringify(orders));
  } catch {
    // Then it is remembered until the page is left.
  }
}
