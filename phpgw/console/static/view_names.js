// The groups, or the users: search, and a link to the clients of each.

import { element } from "./elements.js";
import { showList } from "./paged_list.js";
import { count, printable } from "./text.js";
import { nameLink } from "./view_clients.js";

const KINDS = {
  group: ["Groups", "No client is in a group. PHP puts a client into one with the command join."],
  user: ["Users", "No client has a user. PHP gives a client one with the command bind."],
};

export function showNames(page, kind) {
  const [title, empty] = KINDS[kind];
  return showList(page, {
    title,
    path: `${kind}s`,
    field: `${kind}s`,
    one: kind,
    searches: "Part of the name",
    empty,
    columns: [
      ["Name", (entry) => nameLink(kind, entry[kind])],
      ["Clients", (entry) => count(entry.clients), "number"],
      ["", (entry) => element("a", { href: `#/send?${new URLSearchParams({ [kind]: entry[kind] })}`, "aria-label": `Send to ${printable(entry[kind])}` }, "Send")],
    ],
  });
}
