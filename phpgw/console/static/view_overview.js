// The overview: numbers of now.

import { element, heading } from "./elements.js";
import { feed } from "./feed.js";
import { count } from "./text.js";

const NUMBERS = { Clients: "clients_now", "Events at PHP": "php_requests_now", Waiting: "events_waiting_now", Failed: "php_failures" };

export function showOverview(page) {
  const numbers = element("dl", { class: "numbers" });
  page.append(heading("Overview"), element("section", { class: "card", "aria-label": "Now" }, numbers));
  const fill = ({ detail }) => numbers.replaceChildren(...Object.entries(NUMBERS).map(
    ([name, field]) => element("div", {}, element("dt", {}, name), element("dd", {}, count(detail[field]))),
  ));
  feed.addEventListener("stats", fill);
  return () => feed.removeEventListener("stats", fill);
}
