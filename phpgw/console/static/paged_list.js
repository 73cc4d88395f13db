// A list of the API in pages of a hundred, with a search.

import { ApiError, get } from "./api.js";
import { announce, element, heading, note } from "./elements.js";
import { count, plural, printable } from "./text.js";

const LIMIT = 100;
// Milliseconds after the last key until the search begins.
const DELAY = 250;

// Shows a list. what: {title, path, field, one, searches, columns: [[name, (entry) => node, class]], empty, query}
export function showList(page, what) {
  let after = [null];
  let asked = 0;
  let timer = null;
  const input = element("input", {
    type: "search", "aria-label": `Search ${what.title.toLowerCase()}`, placeholder: what.searches,
    autocomplete: "off", spellcheck: "false", maxlength: 200, value: what.search ?? "",
  });
  const search = element("form", { class: "search", role: "search", submit: (event) => { event.preventDefault(); begin(); } }, input);
  const refresh = element("button", { type: "button", click: () => load() }, "Refresh");
  const body = element("tbody");
  const caption = element("caption", {}, "Loading");
  const table = element(
    "table", { class: "rows" }, caption,
    element("thead", {}, element("tr", {}, what.columns.map(([name, , kind]) => element("th", { scope: "col", class: kind }, name)))),
    body,
  );
  const problem = element("div", { role: "status" });
  const back = element("button", { type: "button", disabled: true, click: () => { after.pop(); load(); } }, "Previous page");
  const forth = element("button", { type: "button", disabled: true }, "Next page");
  const pages = element("div", { class: "buttons", hidden: true }, back, forth);
  input.addEventListener("input", () => { clearTimeout(timer); timer = setTimeout(begin, DELAY); });
  forth.addEventListener("click", () => { after.push(forth.dataset.after); load(); });
  page.append(
    heading(what.title, search, refresh),
    element("section", { class: "card", "aria-label": what.title }, element("div", { class: "scroll" }, table), problem, pages),
  );

  function begin() {
    clearTimeout(timer);
    after = [null];
    load();
  }

  async function load() {
    const number = ++asked;
    try {
      const query = { limit: LIMIT, after: after.at(-1), search: input.value.trim(), ...what.query };
      const found = await get(what.path, query);
      // A later search may have ended before.
      if (number === asked) fill(found);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (number === asked) problem.replaceChildren(note(printable(error.message), "error"));
    }
  }

  function fill(found) {
    const entries = found[what.field];
    body.replaceChildren(...entries.map((entry) => element(
      "tr", {}, what.columns.map(([name, cell, kind]) => element("td", { class: kind, "data-label": name }, cell(entry))),
    )));
    const first = (after.length - 1) * LIMIT + 1;
    const isPaged = found.next !== null || after.length > 1;
    caption.textContent = isPaged
      ? `${count(first)} to ${count(first + entries.length - 1)} of ${plural(found.total, what.one)}`
      : plural(found.total, what.one);
    problem.replaceChildren(...(entries.length ? [] : [element("p", { class: "empty" }, input.value.trim() ? `No ${what.one} matches.` : what.empty)]));
    table.hidden = !entries.length;
    pages.hidden = !isPaged;
    back.disabled = after.length === 1;
    forth.disabled = found.next === null;
    forth.dataset.after = found.next ?? "";
    announce(caption.textContent);
  }

  load();
  return () => { asked += 1; clearTimeout(timer); };
}
