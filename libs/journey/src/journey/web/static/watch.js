// Looks again and again, for as long as a trace that somebody waits for may still get spans.

import { Busy, fetchDiagnosis, fetchDrawings } from "./api.js";

const SETTLED_MS = 2_000; // a span that came last may have sisters
const ARRIVAL_MS = 60_000; // whatever is not there after that, does not come
const PATIENCE_MS = 600_000; // for orders that are not on show
const QUIET_MS = 3_000; // without news the doctor is asked, and again after as long

export class Watch {
  /** `tell` is called after every look, and when another trace is shown. */
  constructor(canLook, tell) {
    this.canLook = canLook;
    this.tell = tell;
    this.traces = new Map();
    this.shown = null;
    this.away = false;
    this.failed = 0; // when a look last was in vain
    this.timer = null;
    this.looking = false;
  }

  /** Watch a trace. `placed` (ms) is known of one's own orders; `seen` says that Zipkin has had it. */
  add(id, { placed = null, seen = false } = {}) {
    if (this.traces.has(id)) return;
    this.traces.set(id, { id, placed, seen, journey: null, diagnosis: null, asked: 0, there: null, began: Date.now(), news: Date.now() });
    this.soon();
  }

  /** Watch one trace more patiently than the others: it is on show. */
  show(id, known) {
    this.shown = id;
    this.add(id, known);
    this.soon();
    this.tell();
  }

  /** The state of a trace, and what there is to say about it. */
  stateOf(id) {
    const trace = this.traces.get(id);
    if (!this.canLook) return { state: "no-zipkin" };
    if (this.away && !this.settled(trace)) return { state: "away" };
    if (trace.there) return { ...trace.journey, finding: trace.diagnosis?.findings[0] };
    if (trace.there === false && trace.seen) return { state: "forgotten" };
    if (trace.placed === null) return { state: "missing" };
    return { state: this.overdue(trace) ? "forgotten" : "placed" };
  }

  /** Look at once, and go on by itself. */
  soon() {
    clearTimeout(this.timer);
    if (this.canLook && !this.looking) this.timer = setTimeout(() => this.look(), 0);
  }

  async look() {
    const wanted = [...this.traces.values()].filter((trace) => this.wants(trace));
    if (!wanted.length) return;
    this.looking = true;
    try {
      const found = await fetchDrawings(wanted.map(({ id }) => id));
      for (const trace of wanted) note(trace, found.get(trace.id));
      this.away = false;
      await this.judge(this.traces.get(this.shown)).catch(() => {}); // the next look tells whether Zipkin answers
    } catch (error) {
      if (!(error instanceof Busy)) {
        this.away = true;
        this.failed = Date.now();
      }
    }
    this.looking = false;
    this.tell();
    this.timer = setTimeout(() => this.look(), this.pause());
  }

  /** Ask the doctor about what is on show: once nothing new comes. */
  async judge(trace) {
    if (!trace?.there || Date.now() - Math.max(trace.news, trace.asked) < QUIET_MS) return;
    trace.asked = Date.now();
    trace.diagnosis = await fetchDiagnosis(trace.id);
  }

  wants(trace) {
    // A redrive continues the journey of a dead letter.
    if (trace.id === this.shown) return !this.settled(trace) || (trace.there && !trace.diagnosis) || trace.journey?.state === "dead";
    return !this.settled(trace) && Date.now() - trace.began < PATIENCE_MS;
  }

  pause() {
    const wanted = [...this.traces.values()].filter((trace) => this.wants(trace));
    const quiet = Date.now() - Math.max(0, ...wanted.map(({ news }) => news));
    if (quiet > 60_000) return 5_000;
    return this.away || quiet > 10_000 ? 1_000 : 300;
  }

  /** Nothing more is expected. */
  settled(trace) {
    if (trace.there === false) return trace.placed !== null && this.overdue(trace);
    return ["done", "dead"].includes(trace.journey?.state) && Date.now() - trace.news > SETTLED_MS;
  }

  /** What is not there by now does not come: while Zipkin is away, spans wait for it in the Collector. */
  overdue({ placed, seen, news }) {
    return Date.now() - Math.max(placed, this.failed, seen ? news : 0) > ARRIVAL_MS;
  }
}

function note(trace, drawing) {
  trace.there = Boolean(drawing);
  if (!drawing || drawing.spans.length <= trace.journey?.spans.length) return;
  const first = trace.journey === null;
  trace.seen = true;
  trace.journey = drawing;
  trace.diagnosis = null;
  // What ended long ago has no late spans.
  trace.news = first ? Math.min(Date.now(), trace.journey.end / 1_000) : Date.now();
}
