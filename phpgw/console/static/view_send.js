// A form that sends a message to a client, a group, a user, or to all.

import { ApiError, run } from "./api.js";
import { confirmed } from "./confirmation.js";
import { element, field, heading, note, submitting } from "./elements.js";
import { plural, printable } from "./text.js";

const TARGETS = { client: "A client", group: "A group", user: "A user", all: "All clients" };

export function showSend(page, query) {
  const kind = Object.keys(TARGETS).find((name) => query.has(name)) ?? "client";
  page.append(heading("Send"), element("section", { class: "card", "aria-label": "Send" }, sendForm(kind, query.get(kind) ?? "")));
}

function sendForm(chosen, name) {
  const input = element("input", { autocomplete: "off", spellcheck: "false", value: name });
  const named = field("Name", input, "The id of a client, or the name of a group or a user.");
  const message = element("textarea", { spellcheck: "false" });
  const outcome = element("p", { role: "status" });
  const radios = Object.entries(TARGETS).map(([value, text]) => element(
    "label", {}, element("input", { type: "radio", name: "target", value, checked: value === chosen, change: adapt }), text,
  ));
  const form = element(
    "form", { submit: submitting(send) },
    element("fieldset", {}, element("legend", {}, "To"), element("div", { class: "choices" }, radios)),
    named,
    field("Message", message, "Sent as text, as it is."),
    element("div", { class: "buttons" }, element("button", { class: "main" }, "Send")),
    outcome,
  );
  adapt();

  function target() {
    return form.elements.target.value;
  }

  function adapt() {
    named.hidden = target() === "all";
  }

  async function send() {
    const isAll = target() === "all";
    if (isAll && !(await confirmed("Send to all clients?", "Each client that is connected gets this message.", "Send to all"))) return;
    const result = await deliver({ [target()]: isAll ? true : input.value }, message.value);
    outcome.replaceChildren(result);
  }
  return form;
}

// Sends a message; returns an element that says how it went.
export async function deliver(to, message) {
  try {
    const result = await run({ op: "send", to, message });
    if (result.error || !result.delivered) return note(printable(result.error ?? "Nobody is there."), "error");
    return note(`Sent to ${plural(result.delivered, "client")}.`, "good");
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    return note(printable(error.message), "error");
  }
}
