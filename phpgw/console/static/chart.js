// A line chart of the last two minutes, with a table of the same values for screen readers.

import { element, svg } from "./elements.js";
import { POINTS } from "./history.js";
import { clock } from "./text.js";

const HEIGHT = 100;
// One row of the table is the mean of so many seconds.
const ROW = 10;
const KINDS = ["first", "second"];

export class Chart {
  // series: [name, ...], two at most; shown: returns a value as text; empty: why there is no line.
  constructor(title, { series, shown, empty }) {
    this.title = title;
    this.series = series;
    this.shown = shown;
    this.empty = empty;
    this.now = element("span", { class: "now" });
    this.lines = series.map((_, each) => svg("path", { class: KINDS[each] }));
    this.area = svg("path", { class: "area" });
    this.plot = svg(
      "svg", { viewBox: `0 0 ${POINTS - 1} ${HEIGHT}`, preserveAspectRatio: "none", role: "img", "aria-label": title },
      series.length === 1 ? this.area : null, this.lines,
    );
    this.top = element("span", {}, "");
    this.rows = element("tbody");
    this.table = element(
      "details", { toggle: () => this.#fillTable() },
      element("summary", {}, "As a table"),
      element("div", { class: "scroll" }, element(
        "table", {},
        element("caption", {}, `${title}, mean of each ${ROW} seconds`),
        element("thead", {}, element("tr", {}, ["Until", ...series].map((name) => element("th", { scope: "col" }, name)))),
        this.rows,
      )),
    );
    this.why = element("p", { class: "empty", hidden: true }, empty);
    this.element = element(
      "section", { class: "card chart", "aria-label": title },
      element("header", {}, element("h2", {}, title), this.now),
      series.length > 1 ? legend(series) : null,
      element(
        "div", { class: "plot" }, this.plot,
        element("div", { class: "scale", "aria-hidden": "true" }, this.top, element("span", {}, "0")),
        element("div", { class: "span", "aria-hidden": "true" }, element("span", {}, "2 minutes ago"), element("span", {}, "now")),
      ),
      this.why, this.table,
    );
  }

  // values: a list for each series, oldest first, of numbers or nulls; times: in seconds since the epoch.
  update(values, times) {
    this.values = values;
    this.times = times;
    const known = values.flat().filter((value) => value !== null);
    const top = ceiling(Math.max(0, ...known));
    values.forEach((list, each) => this.lines[each].setAttribute("d", path(list, top)));
    this.area.setAttribute("d", values[0].length ? area(values[0], top) : "");
    const latest = values.map((list) => list.at(-1) ?? null);
    this.now.textContent = latest.map((value) => (value === null ? "–" : this.shown(value))).join(" · ");
    this.top.textContent = this.shown(top);
    this.why.hidden = known.some((value) => value > 0);
    this.plot.setAttribute("aria-label", this.#summary(latest));
    // Not while somebody reads it.
    if (this.table.open && times.at(-1) - (this.filledAt ?? 0) >= ROW) this.#fillTable();
  }

  #summary(latest) {
    const parts = this.series.map((name, each) => {
      const list = this.values[each].filter((value) => value !== null);
      if (!list.length) return `${name}: no value yet`;
      const now = latest[each] === null ? "no value" : this.shown(latest[each]);
      return `${name}: ${now} now, ${this.shown(Math.min(...list))} to ${this.shown(Math.max(...list))} in the last two minutes`;
    });
    return `${this.title}. ${parts.join(". ")}.`;
  }

  #fillTable() {
    if (!this.table.open || !this.times?.length) return;
    this.filledAt = this.times.at(-1);
    const rows = [];
    for (let end = this.times.length; end > 0; end -= ROW) {
      const start = Math.max(0, end - ROW);
      const cells = this.values.map((list) => {
        const part = list.slice(start, end).filter((value) => value !== null);
        return element("td", {}, part.length ? this.shown(part.reduce((sum, value) => sum + value, 0) / part.length) : "–");
      });
      rows.push(element("tr", {}, element("th", { scope: "row" }, clock(this.times[end - 1])), cells));
    }
    this.rows.replaceChildren(...rows);
  }
}

function legend(series) {
  return element("ul", { class: "legend" }, series.map((name, each) => element(
    "li", {},
    svg("svg", { viewBox: "0 0 24 10", "aria-hidden": "true" }, svg("path", { class: KINDS[each], d: "M0 5H24" })),
    name,
  )));
}

function x(list, index) {
  return POINTS - list.length + index;
}

function y(value, top) {
  return HEIGHT - 1 - (value / top) * (HEIGHT - 4);
}

// Where a value is missing, the line has a gap.
function path(list, top) {
  let isDrawing = false;
  return list.map((value, index) => {
    if (value === null) {
      isDrawing = false;
      return "";
    }
    const command = isDrawing ? "L" : "M";
    isDrawing = true;
    return `${command}${x(list, index)} ${y(value, top).toFixed(2)}`;
  }).join("");
}

function area(list, top) {
  const edge = list.map((value, index) => `L${x(list, index)} ${y(value ?? 0, top).toFixed(2)}`).join("");
  return `M${x(list, 0)} ${HEIGHT}${edge}L${POINTS - 1} ${HEIGHT}Z`;
}

// The smallest of 1, 2, 5, 10, 20, ... that is not below a value.
function ceiling(value) {
  if (value <= 1) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 5, 10].map((step) => step * power).find((each) => each >= value);
}
