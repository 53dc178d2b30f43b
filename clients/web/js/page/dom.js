/** Makes an element: `make("p", {class: "x", onclick: f}, "text", child)`. Text never becomes markup. */
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== undefined && value !== null) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

const SVG = "http://www.w3.org/2000/svg";
const PATHS = {
  clock: ["M8 2.2a5.8 5.8 0 1 0 0 11.6A5.8 5.8 0 1 0 8 2.2", "M8 4.8V8l2.2 1.4"],
  tick: ["M3.2 8.6l3.1 3.1 6.5-7"],
  ticks: ["M1.2 8.6l3.1 3.1 6.5-7", "M7.4 11.1l.6.6 6.6-7"],
  question: ["M5.6 6a2.4 2.4 0 1 1 3.5 2.1c-.8.5-1.1.9-1.1 1.7", "M8 12.4v.2"],
  alert: ["M8 3.4v5.6", "M8 12v.2"],
  send: ["M2.6 8h10", "M8.6 3.6L13 8l-4.4 4.4"],
  down: ["M8 3v9.4", "M3.8 8.4L8 12.6l4.2-4.2"],
  braces: ["M6 2.6c-2 0-1.6 1.6-1.6 3S3.6 8 2.6 8c1 0 1.8.8 1.8 2.4s-.4 3 1.6 3", "M10 2.6c2 0 1.6 1.6 1.6 3S12.4 8 13.4 8c-1 0-1.8.8-1.8 2.4s.4 3-1.6 3"],
  plug: ["M5.6 2.4v3.2M10.4 2.4v3.2", "M3.6 5.6h8.8v2A4.4 4.4 0 0 1 8 12a4.4 4.4 0 0 1-4.4-4.4z", "M8 12v2"],
};

/** A line icon in the colour of its text; what it means is said by whoever uses it. */
export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 16 16");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  for (const d of PATHS[name]) {
    const path = document.createElementNS(SVG, "path");
    path.setAttribute("d", d);
    svg.append(path);
  }
  return svg;
}

/**
 * Makes the children of `parent` those of `items`, touching only what changed: {key, version, build()}. An element
 * is kept while key and version are the same, so that focus, selection and animations survive.
 */
export function reconcile(parent, items) {
  const known = new Map([...parent.children].map((child) => [child.dataset.key, child]));
  const kept = new Set();
  let cursor = parent.firstElementChild;
  for (const { key, version, build } of items) {
    let element = known.get(key);
    known.delete(key);
    if (!element || element.dataset.version !== version) {
      const fresh = build();
      fresh.dataset.key = key;
      fresh.dataset.version = version;
      if (element) {
        const holdsFocus = element.contains(document.activeElement);
        if (element === cursor) cursor = fresh;
        element.replaceWith(fresh);
        if (holdsFocus) (fresh.matches("button") ? fresh : fresh.querySelector("button"))?.focus();
      }
      element = fresh;
    }
    kept.add(element);
    if (element === cursor) cursor = cursor.nextElementSibling;
    else parent.insertBefore(element, cursor);
  }
  for (const element of [...parent.children]) if (!kept.has(element)) element.remove();
}

/** One tab stop for many: arrow keys, Home and End move among the elements that `selector` finds. */
export function rove(container, selector) {
  const all = () => [...container.querySelectorAll(selector)];
  const choose = (element) => {
    for (const other of all()) other.tabIndex = other === element ? 0 : -1;
  };
  container.addEventListener("focusin", ({ target }) => target.matches(selector) && choose(target));
  container.addEventListener("keydown", (event) => {
    const elements = all();
    const at = elements.indexOf(event.target);
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: elements.length - 1 }[event.key];
    if (at < 0 || to === undefined) return;
    event.preventDefault();
    elements[Math.min(Math.max(to, 0), elements.length - 1)].focus();
  });
  /** After the elements changed: exactly one stays reachable. */
  return () => {
    const elements = all();
    if (!elements.some((element) => element.tabIndex === 0)) choose(elements[0]);
    else choose(elements.find((element) => element.tabIndex === 0));
  };
}
