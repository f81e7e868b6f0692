// Waiting.
import { setTimeout as wait } from "node:timers/promises";

// Resolves after so many milliseconds, or as soon as the signal is aborted.
export const sleep = (ms, signal) => wait(ms, undefined, { signal }).catch(() => {});

// Growing pauses between tries, each with some chance in it, so that a fleet does not come back all at once.
export class Backoff {
  #next = 200;

  reset() {
    this.#next = 200;
  }

  async pause(signal) {
    await sleep(this.#next * (0.5 + Math.random() / 2), signal);
    this.#next = Math.min(this.#next * 2, 1_000);
  }
}
