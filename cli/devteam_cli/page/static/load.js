// What workers have in hand, and whether they can be trusted to.

import { mesh } from "./mesh.js";

/** The states of workers that are not heard. */
export const IN_DOUBT = new Set(["lost", "unhealthy", "suspect"]);

let counted = new Map();
let countedAt = -1;

/**
 * How many tasks run on a worker. Tasks tell at once, a worker's own word comes with its next beat: that counts only
 * where there are more tasks than are shown here.
 */
export function activeOf(worker) {
  if (mesh.mesh.get("crowd")?.others) return worker.active_tasks;
  if (countedAt !== mesh.changes) count();
  // A task that ends is told a moment after the next one has its slot.
  return Math.min(counted.get(worker.id) ?? 0, Math.max(worker.concurrency, worker.active_tasks));
}

/** The worker of a task that is said to run, where that worker may be gone; null when there is no doubt. */
export function doubtOf({ state, worker_id: id }) {
  const worker = state === "running" ? mesh.workers.get(id) : null;
  return worker && IN_DOUBT.has(worker.status) ? worker : null;
}

function count() {
  counted = new Map();
  for (const { state, worker_id: id } of mesh.tasks.values()) {
    if (state === "running") counted.set(id, (counted.get(id) ?? 0) + 1);
  }
  countedAt = mesh.changes;
}
