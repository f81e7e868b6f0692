// A worker: its standing with the Registry, its links to Routers, its runs, and how it comes to its end.
import { Link } from "./link.mjs";
import { sleep } from "./pauses.mjs";
import { Registration } from "./registration.mjs";
import { Runs } from "./runs.mjs";

// For the Routers to hear, at the end of a drain, what was handed back.
const LAST_WORDS_MS = 5_000;

export class Worker {
  left = false;
  #links = new Map();
  #deadline = Infinity;
  #changed = new AbortController();

  constructor(settings, answer) {
    this.settings = settings;
    this.runs = new Runs(settings.spec, answer);
    this.runs.onNews = () => this.#news();
    this.registration = new Registration(this, settings);
  }

  // Work until somebody wants the worker to drain, and it has. Throws when it is refused, or superseded.
  async run() {
    await this.registration.register();
    console.log(`Worker ${this.settings.spec.worker_id} registered\nReady`);
    try {
      await Promise.race([this.registration.beat(), this.#drained()]);
    } finally {
      this.left = true;
      for (const link of this.#links.values()) link.close();
      this.registration.beatNow();
    }
    await this.registration.leave();
  }

  // These are the Routers. A link to any other one ends once it has no run.
  follow(addresses) {
    for (const address of addresses) {
      if (this.#links.has(address)) continue;
      const link = new Link(address, this);
      this.#links.set(address, link);
      link.run();
    }
    const bound = new Set([...this.runs].map((item) => item.router));
    for (const [address, link] of this.#links) {
      if (addresses.includes(address) || bound.has(address)) continue;
      this.#links.delete(address);
      link.close();
    }
  }

  // Take no more work, and leave within so many milliseconds; null: as the settings say. The shortest time counts.
  drain(ms) {
    this.#deadline = Math.min(this.#deadline, performance.now() + (ms ?? this.settings.drainMs));
    if (!this.runs.draining) {
      this.runs.draining = true;
      this.registration.beatNow();
    }
    this.#news();
  }

  async #drained() {
    await this.#until(() => this.runs.draining);
    await this.#until(() => this.runs.empty, () => this.#deadline);
    this.runs.handBack();
    const end = performance.now() + LAST_WORDS_MS;
    await this.#until(() => this.runs.empty, () => end);
  }

  async #until(ready, deadline = () => Infinity) {
    while (!ready() && performance.now() < deadline()) {
      this.#changed = new AbortController();
      await sleep(Math.min(deadline() - performance.now(), 2 ** 30), this.#changed.signal);
    }
  }

  #news() {
    for (const link of this.#links.values()) link.wake();
    this.#changed.abort();
  }
}
