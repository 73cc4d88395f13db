// Elements of the page. Texts become text nodes: no text can become an element.

const SVG = "http://www.w3.org/2000/svg";

// Returns an element. Attributes with a function are event listeners; true is an empty attribute.
export function element(name, attributes = {}, ...children) {
  return filled(document.createElement(name), attributes, children);
}

export function svg(name, attributes = {}, ...children) {
  return filled(document.createElementNS(SVG, name), attributes, children);
}

function filled(node, attributes, children) {
  for (const [key, value] of Object.entries(attributes)) {
    if (typeof value === "function") node.addEventListener(key, value);
    else if (value === true) node.setAttribute(key, "");
    else if (value !== false && value !== null && value !== undefined) node.setAttribute(key, value);
  }
  node.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== ""));
  return node;
}

// Text of others: its writing direction has no effect on what is around it.
export function foreign(text) {
  return element("bdi", {}, text);
}

// A label and its field.
export function field(label, input, hint = "") {
  const id = `field-${label.toLowerCase().replaceAll(/[^a-z]+/g, "-")}`;
  input.id = id;
  if (hint) input.setAttribute("aria-describedby", `${id}-hint`);
  return element(
    "div", { class: "field" },
    element("label", { for: id }, label),
    input,
    hint ? element("p", { id: `${id}-hint`, class: "hint" }, hint) : null,
  );
}

export function heading(text, ...beside) {
  return element("div", { class: "heading" }, element("h1", {}, text), ...beside);
}

export function note(text, kind = "note") {
  return element("p", { class: kind }, text);
}

// Says something to screen readers, at most once a second: the last one counts.
let waiting = null;
export function announce(text) {
  if (waiting === null) setTimeout(() => {
    document.querySelector("#news").textContent = waiting;
    waiting = null;
  }, 1000);
  waiting = text;
}

// Copies a text; if the browser does not allow it, shows the text below, where it can be selected.
export async function copy(text, button, below) {
  const before = button.textContent;
  try {
    await navigator.clipboard.writeText(text);
    button.textContent = "Copied";
    announce(button.textContent);
    setTimeout(() => { button.textContent = before; }, 2000);
  } catch {
    // No permission, or no secure origin.
    const shown = element("pre", { tabindex: 0, "aria-label": before }, text);
    below.replaceChildren(shown);
    shown.focus();
    getSelection().selectAllChildren(shown);
  }
}

// Runs what a form is for, once at a time.
export function submitting(run) {
  let isRunning = false;
  return async (event) => {
    event.preventDefault();
    if (isRunning) return;
    isRunning = true;
    try {
      await run();
    } finally {
      isRunning = false;
    }
  };
}
