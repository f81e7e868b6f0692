// Elements. What comes from a mesh gets in as text, and in no other way.

const SVG = "http://www.w3.org/2000/svg";

/** An element: `given` are attributes, `children` elements or text. */
export function el(name, given = {}, ...children) {
  return furnished(document.createElement(name), given, children);
}

/** The same, of a drawing. */
export function svg(name, given = {}, ...children) {
  return furnished(document.createElementNS(SVG, name), given, children);
}

function furnished(node, given, children) {
  for (const [name, value] of Object.entries(given)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else set(node, name, value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

/** Set an attribute; null and false take it away. Does nothing when nothing changes. */
export function set(node, name, value) {
  if (value === null || value === undefined || value === false) {
    if (node.hasAttribute(name)) node.removeAttribute(name);
    return;
  }
  const text = value === true ? "" : String(value);
  if (node.getAttribute(name) !== text) node.setAttribute(name, text);
}

/** Let a node say `text`, and touch it only when it says something else. */
export function say(node, text) {
  const said = String(text ?? "");
  if (node.textContent !== said) node.textContent = said;
  return node;
}

/** Let a node say `text`, and be there only if there is any. */
export function sayOrHide(node, text) {
  say(node, text);
  node.hidden = !text;
}

const kept = new WeakMap();

/**
 * Show `items` in `parent`, in their order. Each keeps its element as long as it has the same key, so that nothing
 * flickers and no focus is lost. `make(item)` returns {node, update}.
 */
export function fill(parent, items, keyOf, make) {
  const old = kept.get(parent) ?? new Map();
  const now = new Map();
  let next = parent.firstChild;
  for (const item of items) {
    const key = keyOf(item);
    const row = old.get(key) ?? make(item);
    row.update(item);
    now.set(key, row);
    if (row.node === next) next = next.nextSibling;
    else parent.insertBefore(row.node, next);
  }
  for (const [key, row] of old) if (!now.has(key)) row.node.remove();
  kept.set(parent, now);
}
