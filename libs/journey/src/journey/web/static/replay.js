// A journey takes milliseconds. The replay goes along the drawn axis in seconds, and says how much slower that is.

import { say } from "./dom.js";
import { inWords } from "./times.js";

const REPLAY_MS = 6_000;

export class Replay {
  constructor(picture, button, says) {
    Object.assign(this, { picture, button, says });
    this.stepwise = matchMedia("(prefers-reduced-motion: reduce)");
    this.stepwise.addEventListener("change", () => this.stop());
    button.addEventListener("click", () => this.press());
    this.load(null);
  }

  /** Be ready to replay what `drawLanes` returned. */
  load(view) {
    this.view = view;
    this.stop();
  }

  press() {
    if (!this.view) return;
    if (this.stepwise.matches) return this.step();
    if (this.frame) return this.stop();
    say(this.button, "Stop the replay");
    const began = performance.now();
    const go = (now) => {
      const place = Math.min(1, (now - began) / REPLAY_MS);
      this.put(place);
      say(this.says, `${this.clock(place)}, ${this.speed()}`);
      if (place === 1) return this.stop(`Replayed ${this.speed()}.`);
      this.frame = requestAnimationFrame(go);
    };
    this.frame = requestAnimationFrame(go);
  }

  /** Without motion: one press, one more bar. */
  step() {
    const { drawn } = this.view;
    this.next = (this.next ?? -1) + 1;
    if (this.next >= drawn.length) return this.stop("That was the last step.");
    const { item, to } = drawn[this.next];
    const places = drawn.slice(0, this.next + 1).map((each) => each.to);
    this.put(Math.max(to, ...places), drawn.slice(this.next + 1));
    const what = item.kind === "work" ? `${item.span.name} (${item.span.service})` : `in topic ${item.span.topic}`;
    say(this.says, `Step ${this.next + 1} of ${drawn.length}: ${what}, ${inWords(item.to - item.from)}`);
    say(this.button, "Next step");
  }

  stop(words = "") {
    cancelAnimationFrame(this.frame);
    this.frame = this.next = null;
    this.picture.classList.remove("replaying");
    for (const { row } of this.view?.drawn ?? []) row.classList.remove("to-come");
    say(this.button, this.stepwise.matches ? "Step through" : "Replay slowed down");
    say(this.says, words);
  }

  put(place, toCome = this.view.drawn.filter(({ from }) => from > place)) {
    this.picture.classList.add("replaying");
    this.picture.style.setProperty("--now", place);
    for (const { row } of this.view.drawn) row.classList.remove("to-come");
    for (const { row } of toCome) row.classList.add("to-come");
  }

  clock(place) {
    const { axis } = this.view;
    return `${inWords(axis.timeAt(place) - axis.timeAt(0))} of ${inWords(axis.timeAt(1) - axis.timeAt(0))}`;
  }

  speed() {
    const { length, shortens } = this.view.axis;
    const times = (REPLAY_MS * 1_000) / length;
    const waits = shortens ? ", its long waits shortened" : "";
    if (times >= 1.5) return `slowed down ${Math.round(times)} times${waits}`;
    return (times > 0.67 ? "at its own speed" : `sped up ${Math.round(1 / times)} times`) + waits;
  }
}
