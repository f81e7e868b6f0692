// The spans of a trace in the order in which a reader follows them. Pure.

/** Spans as a tree written line by line: each with its depth, parents before children, by the time they began. */
export function ordered(spans) {
  const known = new Set(spans.map((span) => span.id));
  const children = new Map();
  for (const span of [...spans].sort((one, other) => one.start.localeCompare(other.start))) {
    const parent = known.has(span.parent_id) ? span.parent_id : "";
    children.set(parent, [...(children.get(parent) ?? []), span]);
  }
  const rows = [];
  const pending = [...(children.get("") ?? [])].reverse().map((span) => [span, 0]);
  while (pending.length) {
    const [span, depth] = pending.pop();
    rows.push({ ...span, depth });
    const below = (children.get(span.id) ?? []).map((child) => [child, depth + 1]);
    pending.push(...below.reverse());
  }
  return rows;
}

/** Of such rows those about a task: what names it, what is below, and the way up to the root. All, if none names it. */
export function about(rows, taskId) {
  const parents = new Map(rows.map((row) => [row.id, row.parent_id]));
  const kept = new Set();
  let depth = Infinity;
  for (const row of rows) {
    if (row.depth <= depth) depth = Infinity;
    const names = Object.values(row.attributes).includes(taskId);
    if (names && depth === Infinity) depth = row.depth;
    if (depth === Infinity) continue;
    for (let id = row.id; id && !kept.has(id); id = parents.get(id)) kept.add(id);
  }
  return kept.size ? rows.filter((row) => kept.has(row.id)) : rows;
}

/** When the first begins and the last ends, in milliseconds. */
export function bounds(rows) {
  const starts = rows.map((row) => Date.parse(row.start));
  const ends = rows.map((row) => Date.parse(row.end ?? row.start));
  return { from: Math.min(...starts), to: Math.max(...ends) };
}
