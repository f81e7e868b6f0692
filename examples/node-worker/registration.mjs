// The worker's standing with the Registry: it registers, beats, and takes its leave.
import { randomUUID } from "node:crypto";
import { registryAt, status, toMs } from "./contracts.mjs";
import { Backoff, sleep } from "./pauses.mjs";

const CALL_MS = 10_000;

export class Registration {
  // Made anew at each start.
  #instance = randomUUID();
  #token = "";
  #interval = 30_000;
  #due = new AbortController();

  constructor(worker, { apiUrl, spec }) {
    Object.assign(this, { worker, apiUrl, spec });
    this.client = registryAt(apiUrl);
  }

  get identity() {
    return { worker_id: this.spec.worker_id, instance_id: this.#instance, session_token: this.#token };
  }

  // Register, trying until the Registry answers. Throws when it refuses.
  async register() {
    for (const backoff = new Backoff(); ; await backoff.pause()) {
      try {
        const answer = await this.#call("RegisterWorker", { spec: this.spec, instance_id: this.#instance });
        this.#token = answer.session_token;
        this.#interval = toMs(answer.policy.heartbeat_interval);
        this.worker.follow(answer.router_addresses.length ? answer.router_addresses : [this.apiUrl]);
        return;
      } catch (error) {
        if ([status.INVALID_ARGUMENT, status.UNAUTHENTICATED].includes(error.code)) throw error;
        console.error(`cannot register yet: ${error.details}`);
      }
    }
  }

  // Beat until the worker has left. Throws when another instance took over its id.
  async beat() {
    while (!this.worker.left) {
      this.#due = new AbortController();
      await sleep(this.#interval, this.#due.signal);
      try {
        if (!this.worker.left) this.#heed(await this.#call("Heartbeat", this.#words()));
      } catch (error) {
        if (this.worker.left) return; // of course it is not known any more
        if ([status.NOT_FOUND, status.PERMISSION_DENIED].includes(error.code)) await this.register();
        else if (error.code === status.ABORTED) throw error;
        else console.error(`beat not heard: ${error.details}`);
      }
    }
  }

  // Out of turn: whether this worker is registered was doubted, or there is something new to say.
  beatNow() {
    this.#due.abort();
  }

  async leave() {
    await this.#call("DeregisterWorker", { ...this.identity, reason: "the worker stopped" }).catch(() => {});
    this.client.close();
  }

  #words() {
    const availability = this.worker.runs.draining ? "AVAILABILITY_DRAINING" : "AVAILABILITY_OPEN";
    return { ...this.identity, active_tasks: this.worker.runs.active(), availability };
  }

  #heed(answer) {
    this.#interval = toMs(answer.heartbeat_interval);
    this.worker.runs.concurrency = answer.concurrency || this.spec.concurrency;
    // A Registry that has just started names no Router yet.
    if (answer.router_addresses.length) this.worker.follow(answer.router_addresses);
    if (answer.availability === "AVAILABILITY_DRAINING") this.worker.drain(toMs(answer.drain_deadline));
  }

  #call(method, request) {
    const deadline = Date.now() + CALL_MS;
    return new Promise((resolve, reject) =>
      this.client[method](request, { deadline }, (error, answer) => (error ? reject(error) : resolve(answer))));
  }
}
