// How much of a worker is in use.

import { mesh } from "./mesh.js";

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

function count() {
  counted = new Map();
  for (const { state, worker_id: id } of mesh.tasks.values()) {
    if (state === "running") counted.set(id, (counted.get(id) ?? 0) + 1);
  }
  countedAt = mesh.changes;
}
