// One client: what is known of it, its last events, and what can be done to it.

import { ApiError, get, run } from "./api.js";
import { confirmed } from "./confirmation.js";
import { element, field, foreign, heading, note, submitting } from "./elements.js";
import { eventList } from "./event_list.js";
import { moment, plural, printable, since } from "./text.js";
import { nameLink, tags } from "./view_clients.js";
import { deliver } from "./view_send.js";

export function showClient(page, id) {
  const title = heading("", closeButton(id));
  title.querySelector("h1").append("Client ", foreign(printable(id)));
  const facts = element("dl");
  const problem = element("div", { role: "status" });
  const events = eventList(id);
  page.append(
    title,
    element("section", { class: "card", "aria-label": "Facts" }, facts, problem),
    element("section", { class: "card", "aria-label": "Send" }, sendForm(id)),
    element("section", { class: "card", "aria-label": "Last events" }, element("h2", {}, "Last events"), events.element),
  );
  load(id, facts, problem, events);
  return events.stop;
}

async function load(id, facts, problem, events) {
  try {
    const client = await get(`clients/${encodeURIComponent(id)}`);
    fill(facts, client);
    events.begin(client.events);
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    const text = error.status === 404 ? "This client is not connected, or not any longer." : error.message;
    problem.replaceChildren(note(printable(text), "error"));
    events.begin([]);
  }
}

function fill(facts, client) {
  const state = client.state === null ? null : element(
    "details", {}, element("summary", {}, plural(new Blob([client.state]).size, "byte")),
    element("pre", { tabindex: 0 }, foreign(printable(client.state, { lines: true }))),
  );
  const known = {
    User: client.user === null ? null : nameLink("user", client.user),
    Groups: client.groups.length ? tags(client.groups, (name) => nameLink("group", name)) : null,
    State: state,
    Connected: `${moment(client.connected_at)} (${since(client.connected_at)} ago)`,
    Address: text(client.address),
    Path: text(client.path),
    Origin: text(client.origin),
    "User agent": text(client.user_agent),
  };
  facts.replaceChildren(...Object.entries(known).flatMap(([name, value]) => [
    element("dt", {}, name), element("dd", {}, value ?? element("span", { class: "note" }, "none")),
  ]));
}

function text(value) {
  return value === null ? null : foreign(printable(value));
}

function sendForm(id) {
  const message = element("textarea", { spellcheck: "false" });
  const outcome = element("div", { role: "status" });
  const send = async () => {
    outcome.replaceChildren(await deliver({ client: id }, message.value));
  };
  return element(
    "form", { submit: submitting(send) }, field("Message to this client", message),
    element("div", { class: "buttons" }, element("button", { class: "main" }, "Send")), outcome,
  );
}

function closeButton(id) {
  const button = element("button", { type: "button", class: "danger", click: close }, "Close the connection");
  const outcome = element("div", { role: "status" });

  async function close() {
    const explanation = `The client ${printable(id)} is disconnected with code 1000. Most pages connect again.`;
    if (!(await confirmed("Close this connection?", explanation, "Close it"))) return;
    const result = await run({ op: "close", to: { client: id } }).catch((error) => ({ error: error.message }));
    button.disabled = !result.error;
    outcome.replaceChildren(note(result.error ? printable(result.error) : "Closed.", result.error ? "error" : "good"));
  }
  return element("div", { class: "buttons" }, outcome, button);
}
