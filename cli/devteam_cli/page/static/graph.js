// Where the steps of a plan are drawn. Pure.

const SWEEPS = 4;
// Room for a line that passes by a layer.
const PASSING = 12;
// More steps, or more pieces of lines from layer to layer, nobody can follow.
const MOST = 300;
const MOST_PIECES = 3000;

/**
 * Boxes by step, and lines between them, each as a list of points in pixels. Steps are [{step_id, depends_on}]; each
 * comes after all it depends on. `isTall` puts layers below each other instead of beside. Null of more than can be
 * drawn.
 */
export function laidOut(steps, { width, height, gap, between, isTall }) {
  if (!steps.length || steps.length > MOST) return null;
  const depths = depthsOf(steps);
  if (piecesOf(steps, depths) > MOST_PIECES) return null;
  const { layers, needs } = layered(steps, depths);
  const along = isTall ? height : width;
  const sizes = (id) => (depths.has(id) ? (isTall ? width : height) : PASSING);
  const lengthOf = (layer) => layer.reduce((sum, id) => sum + sizes(id) + gap, -gap);
  const breadth = Math.max(...layers.map(lengthOf), 0);
  const middles = new Map();
  layers.forEach((layer, depth) => {
    let place = (breadth - lengthOf(layer)) / 2;
    for (const id of layer) {
      middles.set(id, { along: depth * (along + between), across: place + sizes(id) / 2 });
      place += sizes(id) + gap;
    }
  });
  const turned = (at, across) => (isTall ? { x: across, y: at } : { x: at, y: across });
  const box = (id) => turned(middles.get(id).along, middles.get(id).across - sizes(id) / 2);
  const edge = (id, isEnd) => turned(middles.get(id).along + (isEnd ? along : 0), middles.get(id).across);
  const lines = needs.map(({ from, to, by }) => {
    const passed = by.flatMap((id) => [edge(id, false), edge(id, true)]);
    return { from, to, points: [edge(from, true), ...passed, edge(to, false)] };
  });
  const length = layers.length * (along + between) - between;
  const boxes = new Map(steps.map((step) => [step.step_id, box(step.step_id)]));
  return { boxes, lines, width: isTall ? breadth : length, height: isTall ? length : breadth };
}

/** Steps in layers, with a place of its own wherever a line passes by a layer. */
function layered(steps, depths) {
  const layers = [];
  for (const { step_id: id } of steps) (layers[depths.get(id)] ??= []).push(id);
  const near = [];
  const needs = [];
  for (const step of steps) {
    for (const from of step.depends_on.filter((id) => depths.has(id))) {
      const by = [];
      for (let depth = depths.get(from) + 1; depth < depths.get(step.step_id); depth++) {
        by.push(`${from} ${step.step_id} ${depth}`);
        layers[depth].push(by.at(-1));
      }
      needs.push({ from, to: step.step_id, by });
      const way = [from, ...by, step.step_id];
      way.slice(1).forEach((id, i) => near.push([way[i], id]));
    }
  }
  untangle(layers, near);
  return { layers, needs };
}

/** How many pieces all lines have together: one for each layer that they go on to. */
function piecesOf(steps, depths) {
  const lengths = (step) => step.depends_on.map((from) => depths.get(step.step_id) - (depths.get(from) ?? Infinity));
  return steps.flatMap(lengths).reduce((sum, length) => sum + Math.max(length, 0), 0);
}

/** How many steps lie before each, at most. A plan has no circles; what is in one all the same counts as a beginning. */
function depthsOf(steps) {
  const needed = new Map(steps.map((step) => [step.step_id, step.depends_on]));
  const depths = new Map();
  const visit = (id, above) => {
    if (depths.has(id)) return depths.get(id);
    if (above.has(id)) return 0;
    const before = needed.get(id).filter((other) => needed.has(other));
    const depth = before.length ? 1 + Math.max(...before.map((other) => visit(other, new Set([...above, id])))) : 0;
    depths.set(id, depth);
    return depth;
  };
  for (const id of needed.keys()) visit(id, new Set());
  return depths;
}

/** Put each near the middle of its neighbours, from one side to the other and back. */
function untangle(layers, near) {
  const before = new Map();
  const after = new Map();
  for (const [from, to] of near) {
    before.set(to, before.get(to) ?? []).get(to).push(from);
    after.set(from, after.get(from) ?? []).get(from).push(to);
  }
  const places = new Map();
  const place = (layer) => layer.forEach((id, i) => places.set(id, i - (layer.length - 1) / 2));
  layers.forEach(place);
  for (let sweep = 0; sweep < SWEEPS; sweep++) {
    const isForth = sweep % 2 === 0;
    for (const layer of isForth ? layers : [...layers].reverse()) {
      const neighbours = isForth ? before : after;
      const middles = new Map(layer.map((id) => [id, middleOf(neighbours.get(id), places) ?? places.get(id)]));
      layer.sort((one, other) => middles.get(one) - middles.get(other));
      place(layer);
    }
  }
}

function middleOf(ids, places) {
  return ids?.length ? ids.reduce((sum, id) => sum + places.get(id), 0) / ids.length : undefined;
}

/** A line through points as the path of a drawing; bent along the way, straight where it passes a layer. */
export function way(points, isTall) {
  const [start, ...others] = points;
  let at = start;
  let path = `M${at.x} ${at.y}`;
  others.forEach((to, i) => {
    const bend = isTall ? (to.y - at.y) / 2 : (to.x - at.x) / 2;
    const first = isTall ? `${at.x} ${at.y + bend}` : `${at.x + bend} ${at.y}`;
    const second = isTall ? `${to.x} ${to.y - bend}` : `${to.x - bend} ${to.y}`;
    path += i % 2 ? `L${to.x} ${to.y}` : `C${first} ${second} ${to.x} ${to.y}`;
    at = to;
  });
  return path;
}
