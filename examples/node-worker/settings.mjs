// What the worker is told, by its environment.
import { cpus, hostname, totalmem } from "node:os";

const names = (text) => text.split(",").map((name) => name.trim()).filter(Boolean);

export function settings(env) {
  const concurrency = Number(env.DEVTEAM_CONCURRENCY ?? 4);
  if (!Number.isInteger(concurrency) || concurrency < 1 || concurrency > 10_000) {
    throw new Error("DEVTEAM_CONCURRENCY must be a whole number from 1 to 10,000");
  }
  const models = names(env.DEVTEAM_MODELS ?? "sim");
  const queues = names(env.DEVTEAM_QUEUE ?? "default").map((name) => ({ name, concurrency, models }));
  return {
    apiUrl: env.DEVTEAM_API_URL ?? "http://127.0.0.1:7400",
    // What runs when the process is told to end may go on for so long.
    drainMs: 25_000,
    spec: {
      // The same at every start on the same machine.
      worker_id: env.DEVTEAM_WORKER_ID ?? `${hostname()}-node`.replace(/[^A-Za-z0-9._-]+/g, "-").slice(-128),
      queues,
      concurrency,
      resources: { cpu_cores: cpus().length, ram_gb: totalmem() / 1e9 },
      location: { host: hostname() },
      version: "node-worker 1",
    },
  };
}
