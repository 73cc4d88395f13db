// The last events of a client: recorded ones, and those that end while the page is open.

import { ApiError, get } from "./api.js";
import { curl } from "./curl.js";
import { copy, element, foreign, note } from "./elements.js";
import { feed } from "./feed.js";
import { clock, count, milliseconds, plural, printable } from "./text.js";

const MAX_EVENTS = 50;
// Bytes of a message and of a reply that the gateway keeps.
const MAX_BODY = 4096;
const OFF = "Messages and replies are not recorded: --record-events 20 keeps the last ones of each client, and so does --dev.";

// Returns {element, begin, stop}: begin takes what is recorded, newest first; nothing if recording is off.
export function eventList(clientId) {
  const off = element("p", { class: "note", hidden: true }, OFF);
  const empty = element("p", { class: "empty" }, "No event yet: it is shown here once the client has sent a message and PHP has replied.");
  const lost = element("p", { class: "note", hidden: true });
  const list = element("div");
  let missed = 0;

  function add(event) {
    const shown = [...list.children];
    // The feed and the record overlap, and what the feed has may come first.
    if (shown.some((each) => each.dataset.id === event.id)) return;
    empty.hidden = true;
    const node = eventElement(event);
    Object.assign(node.dataset, { id: event.id, at: event.at });
    list.insertBefore(node, shown.find((each) => Number(each.dataset.at) <= event.at) ?? null);
    while (list.children.length > MAX_EVENTS) list.lastChild.remove();
  }

  const receive = ({ detail }) => { if (detail.client_id === clientId) add(detail); };
  const lose = ({ detail }) => {
    missed += detail;
    lost.textContent = `${plural(missed, "event")} more came faster than this page reads.`;
    lost.hidden = false;
  };
  feed.addEventListener("event", receive);
  feed.addEventListener("lost", lose);
  feed.watch({ client_id: clientId });
  return {
    element: element("div", {}, off, lost, empty, list),
    begin(recorded) {
      off.hidden = Array.isArray(recorded);
      for (const event of [...(recorded ?? [])].reverse()) add(event);
    },
    stop() {
      feed.watch(null);
      feed.removeEventListener("event", receive);
      feed.removeEventListener("lost", lose);
    },
  };
}

function eventElement(event) {
  const facts = [
    clock(event.at),
    event.status ? `status ${event.status}` : "",
    `waited ${milliseconds(event.wait_ms)}`,
    event.php_ms === null ? "PHP was not asked" : `PHP took ${milliseconds(event.php_ms)}`,
  ].filter(Boolean).join(" · ");
  const button = element("button", { type: "button", class: "quiet", click: () => copyAsCurl(event, button, command) }, "Copy as curl");
  const command = element("div");
  // What a command line can be made of: a text, from the first to the last character.
  const isWhole = typeof event.message === "string" && !event.is_binary && event.message_size <= MAX_BODY;
  const title = element("h3", { class: `outcome ${OUTCOMES.has(event.outcome) ? event.outcome : ""}` }, `${TYPES[event.type] ?? printable(event.type)}: ${printable(event.outcome)}`);
  return element(
    "article", { class: "event" },
    element("div", { class: "heading" }, title, isWhole ? button : null),
    command,
    element("p", { class: "note" }, facts, " · ", element("code", {}, foreign(printable(event.id)))),
    event.problem ? element("p", { class: "error" }, foreign(printable(event.problem))) : null,
    element("div", { class: "bodies" }, body(event.is_binary ? "Message (binary)" : "Message", event.message, event.message_size), body("Reply", event.reply, event.reply_size)),
  );
}

async function copyAsCurl(event, button, below) {
  try {
    const { script_url: url } = await get("about");
    await copy(curl(event, url), button, below);
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    button.textContent = printable(error.message);
  }
}

const TYPES = { server: "Message", connect: "Handshake", disconnect: "Disconnect", timer: "Timer" };
const OUTCOMES = new Set(["replied", "failed", "refused", "withdrawn"]);

// Without a content, its size alone is known.
function body(name, content, size) {
  if (content === null) return element("p", {}, `${name}: ${plural(size, "byte")}`);
  const text = printable(content, { lines: true });
  const title = size > MAX_BODY ? `${name}: the first ${count(MAX_BODY)} of ${plural(size, "byte")}` : name;
  return element("div", {}, element("p", {}, title), text ? element("pre", { tabindex: 0, "aria-label": name }, foreign(text)) : note("empty"));
}
