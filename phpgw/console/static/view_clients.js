// The clients: search, and a link to each.

import { element, foreign } from "./elements.js";
import { showList } from "./paged_list.js";
import { moment, printable, since } from "./text.js";

export function clientLink(id) {
  return element("a", { href: `#/clients/${encodeURIComponent(id)}`, class: "id" }, foreign(printable(id)));
}

// A link to the clients of a group or a user.
export function nameLink(kind, name) {
  return element("a", { href: `#/clients?${new URLSearchParams({ [kind]: name })}` }, foreign(printable(name)));
}

export function tags(names, shown = (name) => foreign(printable(name))) {
  return names.length ? element("ul", { class: "tags" }, names.map((name) => element("li", {}, shown(name)))) : "";
}

const MAX_TAGS = 5;

function someTags(names) {
  if (names.length <= MAX_TAGS) return tags(names);
  const list = tags(names.slice(0, MAX_TAGS));
  list.append(element("li", {}, `${names.length - MAX_TAGS} more`));
  return list;
}

export function showClients(page, query) {
  const group = query.get("group");
  const user = query.get("user");
  const of = group !== null ? ` of the group ${printable(group)}` : user !== null ? ` of the user ${printable(user)}` : "";
  return showList(page, {
    title: `Clients${of}`,
    path: "clients",
    field: "clients",
    one: "client",
    searches: "Id, user, group or address",
    empty: of ? "No client is there." : "No client is connected. Browsers connect with new WebSocket(URL); the gateway's front page has a line to copy.",
    query: { group, user },
    columns: [
      ["Client", (client) => clientLink(client.client_id)],
      ["User", (client) => (client.user === null ? "" : foreign(printable(client.user)))],
      ["Groups", (client) => someTags(client.groups)],
      ["Address", (client) => (client.address === null ? "" : foreign(printable(client.address)))],
      ["Connected", (client) => element("time", { datetime: client.connected_at, title: moment(client.connected_at) }, since(client.connected_at)), "number"],
    ],
  });
}
