// What the page says about where a journey is, for each state: a short name, and a sentence.

const QUIET_MS = 15_000;

const WORDS = {
  none: ["No journey yet", () => "Place an order, and its journey appears here."],
  "no-trace-id": ["Not a trace id", () => "The address of a journey ends with 32 digits and letters from a to f."],
  placed: ["Placed", () => "Its spans have not arrived yet. That takes about a second."],
  "under-way": ["Under way", ({ quiet }) => (quiet > QUIET_MS ? STUCK : "Its spans are arriving.")],
  retry: ["In retry", ({ tries, topic }) => `${failed(tries)}. It waits in ${topic}; the next try comes by itself.`],
  dead: ["Dead letter", ({ tries, topic }) => `${failed(tries)}. It is kept in ${topic}. ${REDRIVE}`],
  done: ["Done", ({ tries }) => `The e-mail is sent.${tries ? ` ${failed(tries)} before.` : ""}`],
  missing: ["Not in Zipkin", () => "Its spans have not arrived yet, or Zipkin has forgotten them. Looking again."],
  forgotten: ["Forgotten", () => `Zipkin does not have this trace any more. ${MEMORY}`],
  untraced: ["Not traced", () => "The order was taken, but orders runs without tracing: there is no journey to show."],
  away: ["Zipkin does not answer", () => "Trying again. Orders are taken, and the Collector keeps their spans."],
  "no-zipkin": ["Where is Zipkin?", () => "Set ZIPKIN_PUBLIC_URL for orders: where a browser reaches Zipkin."],
};

const STUCK = "Nothing new for a while. The message waits in its topic, or a part does not run: see make status.";
const REDRIVE = "A redrive (make dlq DO=\"redrive --all\") continues its journey, in this trace.";
const MEMORY = "It keeps traces in memory: it forgets them when it restarts, and the oldest when it is full.";

/** The short name and the sentence for a state; `about` has `tries`, `topic` and `quiet` (ms since the last news). */
export function wordsFor(state, about = {}) {
  const [name, sentence] = WORDS[state];
  return [name, sentence({ tries: 0, quiet: 0, topic: "", ...about })];
}

function failed(tries) {
  return `${tries} ${tries === 1 ? "try" : "tries"} failed`;
}
