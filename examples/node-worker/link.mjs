// The worker's end of its stream to one Router: dials out, attaches with what it has in hand, and dials again.
import { routerAt, status, toMs } from "./contracts.mjs";
import { Backoff } from "./pauses.mjs";

const ATTACH_MS = 15_000;
// What is bound to a Router that stays away for so long is offered to the others.
const ADRIFT_MS = 1_000;

export class Link {
  #attached = false;
  #scheduled = false;
  #free = true;
  #occupied = "";
  #lastAck = 0;
  #call = null;
  #closing = new AbortController();
  #backoff = new Backoff();
  #adrift = null;

  constructor(router, worker) {
    Object.assign(this, { router, worker, runs: worker.runs });
    this.client = routerAt(router);
  }

  // Stay connected until `close`.
  async run() {
    while (!this.#closing.signal.aborted) {
      const ended = await this.#session();
      if ([status.NOT_FOUND, status.PERMISSION_DENIED].includes(ended?.code)) this.worker.registration.beatNow();
      await this.#backoff.pause(this.#closing.signal);
    }
    this.client.close();
  }

  close() {
    this.#closing.abort();
    clearTimeout(this.#adrift);
    this.#call?.cancel();
  }

  // There may be something to say. What comes together goes out together.
  wake() {
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(() => {
      this.#scheduled = false;
      if (this.#attached) this.#speak();
    });
  }

  // One stream, from `attach` to its end; what it ended with.
  #session() {
    return new Promise((resolve) => {
      const call = (this.#call = this.client.Connect());
      const timers = new Set([setTimeout(() => call.cancel(), ATTACH_MS)]);
      let named = [];
      const end = (error) => {
        for (const timer of timers) clearInterval(timer);
        if (this.#attached) this.#broke();
        resolve(error);
      };
      call.on("error", end);
      call.on("end", () => end(null));
      call.on("drain", () => {
        this.#free = true;
        this.wake();
      });
      call.on("data", (response) => {
        if (this.#attached) return this.#hear(response);
        for (const timer of timers) clearInterval(timer);
        // What was named may have been given up meanwhile, or gone to another Router.
        if (!response.attached || named.some((item) => this.runs.get(item.id) !== item || !item.heeds(this.router))) {
          return call.cancel();
        }
        this.#begin(response.attached, timers);
      });
      named = this.#attach();
    });
  }

  #attach() {
    const named = this.runs.introduce(this.router);
    const occupied = this.runs.takenByOthers(this.router);
    this.#occupied = JSON.stringify(occupied);
    const { registration } = this.worker;
    const running = named.map((item) => item.named);
    this.#free = true;
    this.#write({ attach: { ...registration.identity, running, ...(occupied.total ? { occupied } : {}) } });
    return named;
  }

  #begin(attached, timers) {
    this.#attached = true;
    this.#backoff.reset();
    clearTimeout(this.#adrift);
    this.runs.widen(attached.window_bytes);
    if (attached.concurrency) this.runs.concurrency = attached.concurrency;
    this.#lastAck = performance.now();
    let number = 0;
    const beat = () => {
      if (performance.now() - this.#lastAck >= toMs(attached.beat_timeout)) return this.#call.cancel();
      this.#write({ beat: { number: ++number } });
    };
    beat();
    timers.add(setInterval(beat, toMs(attached.beat_interval)));
    this.wake();
  }

  #broke() {
    this.#attached = false;
    this.runs.silence(this.router);
    this.#adrift = setTimeout(() => this.runs.setAdrift(this.router), ADRIFT_MS);
  }

  #hear(response) {
    const word = response[response.item];
    switch (response.item) {
      case "beat_ack": this.#lastAck = performance.now(); break;
      case "assign": this.#consider(word); break;
      case "cancel": this.runs.cancel(word, this.router, word.reason === "CANCEL_REASON_FENCED"); break;
      case "resume": this.#resume(word); break;
      case "tokens_ack": this.runs.acknowledge(word, this.router); break;
      case "report_ack": this.runs.forget(word, this.router); break;
      case "slots": this.runs.concurrency = word.concurrency; break;
      case "drain": if (word.reason === "REASON_WORKER") this.worker.drain(toMs(word.deadline)); break;
      default: // what is newer than this worker
    }
  }

  #consider(assign) {
    const id = { task_id: assign.run.task_id, attempt: assign.run.attempt };
    const item = this.runs.get(id);
    if (item?.router === this.router) return;
    const refusal = item ? null : this.runs.refusal(assign);
    // By the answer the Router may believe that a slot is free: what others take goes first.
    this.#tellOfOthers();
    this.#write(refusal ? { rejected: { ...id, ...refusal } } : { accepted: id });
    // Its Router is gone, and this one was never told where it runs.
    if (item) this.runs.resume(id, 0, this.router);
    else if (!refusal) this.runs.start(assign, this.router);
    this.runs.onNews();
  }

  #resume({ after_seq, ...id }) {
    const item = this.runs.get(id);
    if (!item) return this.#write({ released: { task_id: id.task_id, attempt: id.attempt } });
    if (!item.told.has(this.router)) this.#write({ offer: { running: [item.named] } });
    this.runs.resume(id, after_seq, this.router);
  }

  #speak() {
    this.#tellOfOthers();
    for (const item of this.runs) {
      if (item.router !== this.router || item.silent) continue;
      while (item.unsent && this.#free) this.#write({ tokens: item.take() });
      if (!item.running && !item.unsent && !item.reported && this.#free) {
        item.reported = true;
        this.#write({ report: item.report });
      }
    }
  }

  // What other Routers' runs take, runs that they have taken over, and runs that are to be had.
  #tellOfOthers() {
    const occupied = this.runs.takenByOthers(this.router);
    if (this.#occupied !== JSON.stringify(occupied)) this.#write({ occupied });
    this.#occupied = JSON.stringify(occupied);
    const strays = [...this.runs].filter((item) => item.router === "" && !item.told.has(this.router));
    for (const item of strays) item.told.add(this.router);
    if (strays.length) this.#write({ offer: { running: strays.map((item) => item.named) } });
    for (const item of this.runs) {
      if (item.told.has(this.router) && !item.heeds(this.router)) {
        item.told.delete(this.router);
        this.#write({ released: item.id });
      }
    }
  }

  // False: so much waits to be sent that tokens are better kept, until "drain".
  #write(item) {
    this.#free = this.#call.write(item);
  }
}
