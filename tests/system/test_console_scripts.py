"""The console's scripts one by one, in Chromium."""

from typing import Any

from tests.support.real.waiting import until
from tests.system.test_console import ConsoleTestCase

# An event as the gateway reports it.
_EVENT = """
const event = (number, more) => ({
  id: `e-${number}`, at: 1000 + number, type: "server", client_id: "a", user: null,
  outcome: "replied", status: 200, wait_ms: 1, php_ms: 2, problem: "", is_binary: false,
  message: `message ${number}`, message_size: 9, reply: "ok", reply_size: 2, ...more,
});
"""
_ORDER = """
const {eventList} = await import("/console/event_list.js");
const {feed} = await import("/console/feed.js");
const list = eventList("a");
feed.dispatchEvent(new CustomEvent("event", {detail: event(4)}));
list.begin([event(4), event(3), event(2)]);
feed.dispatchEvent(new CustomEvent("event", {detail: event(1)}));
feed.dispatchEvent(new CustomEvent("event", {detail: event(5)}));
list.stop();
const messages = list.element.querySelectorAll(".event pre[aria-label=Message]");
return [...messages].map((each) => each.textContent);
"""
_WHOLE = """
const {eventList} = await import("/console/event_list.js");
const list = eventList("a");
list.begin([
  event(3, {message: "x".repeat(4096), message_size: 5000}),
  event(2, {message: "\\xff", message_size: 1, is_binary: true}),
  event(1),
]);
list.stop();
return [...list.element.querySelectorAll(".event")].map(
  (each) => [each.querySelectorAll("button").length, each.querySelector(".bodies p").textContent]);
"""
_COPY = """
Object.defineProperty(navigator, "clipboard", {value: undefined});
const {eventList} = await import("/console/event_list.js");
const list = eventList("a");
list.begin([event(1)]);
list.stop();
document.querySelector("main").append(list.element);
list.element.querySelector("button").click();
"""
_COPIED = "return [String(getSelection()), document.activeElement.tagName]"
_TWICE = """
const {fetch: original} = window;
let posts = 0;
window.fetch = (url, options) => {
  posts += options.method === "POST" && String(url).endsWith("commands");
  return original(url, options);
};
const form = document.querySelector("main form");
form.querySelector("input:not([type=radio])").value = "nobody";
form.requestSubmit();
form.requestSubmit();
await new Promise((done) => setTimeout(done, 500));
form.requestSubmit();
return posts;
"""
# Hidden pages rest after two seconds, in place of a minute.
_PATCH = """
const {setTimeout: later, WebSocket: Original} = window;
window.setTimeout = (call, delay) => later(call, delay === 60000 ? 2000 : delay);
window.sockets = [];
window.WebSocket = class extends Original {
  constructor(url) {
    super(url);
    window.sockets.push(this);
  }
};
window.isHidden = false;
Object.defineProperty(document, "hidden", {get: () => window.isHidden});
window.hide = (isHidden) => {
  window.isHidden = isHidden;
  document.dispatchEvent(new Event("visibilitychange"));
};
const {feed} = await import("/console/feed.js");
feed.stop();
feed.start();
"""
_BLOCK = """
const {WebSocket: Original} = window;
window.WebSocket = class extends Original {
  constructor(url) {
    super(url.replace("ticket=", "lost="));
  }
};
const {feed} = await import("/console/feed.js");
feed.stop();
feed.start();
"""
_OPEN = "return window.sockets.filter((each) => each.readyState === WebSocket.OPEN).length"


class ScriptTests(ConsoleTestCase):
    async def result(self, script: str) -> Any:
        """Return what a script returns that may import the console's."""
        wrapped = f"return (async () => {{ {_EVENT} {script} }})()"
        return await self.browser.run(wrapped)

    async def count_open(self) -> int:
        """Return how many connections to the feed are open."""
        return int(await self.browser.run(_OPEN))

    async def test_events(self) -> None:
        """They are in order, whichever come first; what is not whole cannot be copied."""
        self.start_without_php()
        await self.enter()
        messages = await self.result(_ORDER)
        self.assertEqual([f"message {number}" for number in (5, 4, 3, 2, 1)], messages)
        self.assertEqual(
            [
                [0, "Message: the first 4,096 of 5,000 bytes"],
                [0, "Message (binary)"],
                [1, "Message"],
            ],
            await self.result(_WHOLE),
        )
        await self.assert_no_complaint()

    async def test_copy_without_permission(self) -> None:
        """The command is shown, and selected, where the browser does not let the page copy."""
        self.start_without_php()
        await self.enter()
        await self.result(_COPY)
        await self.shown("curl 'http")
        text, focused = await self.browser.run(_COPIED)
        self.assertTrue(text.startswith("curl 'http"), text)
        self.assertIn("message=message 1", text)
        self.assertEqual("PRE", focused)

    async def test_send_twice(self) -> None:
        """A double click sends one message."""
        self.start_without_php()
        await self.enter()
        await self.go("send")
        await self.shown("Sent as text")
        self.assertEqual(2, await self.result(_TWICE))

    async def test_proxy_without_websockets(self) -> None:
        """The page says so: what it asks over HTTP works nevertheless."""
        self.start_without_php()
        await self.enter()
        await self.result(_BLOCK)
        await self.shown(
            "No live data: the WebSocket does not open (a proxy has to pass on Host and Upgrade)"
        )
        await self.go("clients")
        await self.shown("No client is connected.")

    async def test_hidden_page(self) -> None:
        """It rests after some time, and never while it is seen."""
        self.start_without_php()
        await self.enter()
        await self.result(_PATCH)

        async def is_watching() -> bool:
            return await self.count_open() == 1

        async def rests() -> bool:
            return await self.count_open() == 0

        await until(is_watching)
        await self.browser.run("hide(true); sockets.at(-1).close()")
        await until(rests)
        await self.browser.run("hide(false)")
        await until(is_watching)
        # Longer than until it would rest, if it were hidden all the time.
        await self.browser.run("return new Promise((done) => setTimeout(done, 2500))")
        self.assertEqual(1, await self.count_open())
        await self.browser.run("hide(true)")
        await until(rests)
        await self.assert_no_complaint()
