// What the page says while there is no journey to draw, for each state: a short name, and a sentence.

const MEMORY = "It keeps traces in memory: it forgets them when it restarts, and the oldest when it is full.";

const WORDS = {
  none: ["No journey yet", "Choose a journey, and it appears here."],
  "no-trace-id": ["Not a trace id", "The address of a journey ends with 32 digits and letters from a to f."],
  placed: ["Placed", "Its spans have not arrived yet. That takes about a second."],
  missing: ["Not in Zipkin", "Its spans have not arrived yet, or Zipkin has forgotten them. Looking again."],
  forgotten: ["Forgotten", `Zipkin does not have this trace any more. ${MEMORY}`],
  untraced: ["Not traced", "The order was taken, but orders runs without tracing: there is no journey to show."],
  away: ["Zipkin does not answer", "Trying again. Orders are taken, and the Collector keeps their spans."],
  "no-zipkin": ["Where is Zipkin?", "Set ZIPKIN_PUBLIC_URL for orders: where a browser reaches Zipkin."],
};

/** The short name and the sentence for a state: those of a journey come with it, and the doctor knows more. */
export function wordsFor({ state, name, says, finding }) {
  if (!name) return WORDS[state];
  return [name, state === "under-way" && finding ? `${finding.says} Check: ${finding.check}` : says];
}
