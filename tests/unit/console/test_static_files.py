"""Tests for :mod:`phpgw.console.static_files` and :mod:`phpgw.console.routes`."""

import re

from phpgw.console.static_files import PAGE, read_files
from tests.support.fakes import REMOTE
from tests.support.in_memory_console import ConsoleTestCase


class FileTests(ConsoleTestCase):
    def test_page(self) -> None:
        """The page is for everybody, and runs nothing but the console's own files."""
        answer = self.api.ask("GET", "/console", peer=REMOTE)
        self.assertEqual(200, answer.status)
        self.assertEqual("text/html; charset=utf-8", answer.headers["Content-Type"])
        policy = answer.headers["Content-Security-Policy"].split("; ")
        self.assertEqual(
            [
                *("default-src 'none'", "script-src 'self'", "style-src 'self'"),
                *("connect-src 'self'", "img-src 'self'", "frame-ancestors 'none'"),
                *("base-uri 'none'", "form-action 'none'"),
                *("require-trusted-types-for 'script'", "trusted-types 'none'"),
            ],
            policy,
        )
        self.assertEqual("nosniff", answer.headers["X-Content-Type-Options"])
        self.assertEqual("no-store", answer.headers["Cache-Control"])

    def test_all_responses(self) -> None:
        """Each has the headers, also a refusal."""
        for path in ("", "/", "/console.js", "/nothing", "/api/clients", "/api", "/session"):
            answer = self.api.ask("GET", f"/console{path}", peer=REMOTE)
            self.assertIn("default-src 'none'", answer.headers["Content-Security-Policy"], path)
            self.assertEqual("no-store", answer.headers["Cache-Control"], path)
            self.assertEqual("nosniff", answer.headers["X-Content-Type-Options"], path)

    def test_files(self) -> None:
        """Each file is there, with its type; the page is at its own place alone."""
        for name, file in read_files().items():
            answer = self.api.ask("GET", f"/console/{name}", peer=REMOTE)
            if name == PAGE:
                self.assertEqual(404, answer.status)
            else:
                self.assertEqual((200, file.content), (answer.status, answer.body))
                self.assertEqual(file.media_type, answer.headers["Content-Type"])

    def test_elsewhere(self) -> None:
        for target in (
            "x",
            "console.js/x",
            "%2e%2e/stats",
            "../stats",
            "a/b/c",
            "static/console.js",
        ):
            self.assertEqual(404, self.api.ask("GET", f"/console/{target}").status, target)

    def test_slash(self) -> None:
        """From there, the page's links would lead elsewhere."""
        answer = self.api.ask("GET", "/console/")
        self.assertEqual((308, "../console"), (answer.status, answer.headers["Location"]))

    def test_head(self) -> None:
        for target in ("/console", "/console/console.js"):
            get, head = self.api.ask("GET", target), self.api.ask("HEAD", target)
            self.assertEqual((200, b""), (head.status, head.body))
            self.assertEqual(get.headers["Content-Length"], head.headers["Content-Length"])


class SourceTests(ConsoleTestCase):
    """What the console's files must not have in them."""

    def test_no_html_from_text(self) -> None:
        """Text of others cannot become elements or code."""
        forbidden = re.compile(
            rb"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|new Function"
            rb"|DOMParser|createContextualFragment|setHTML|srcdoc|javascript:"
        )
        for name, file in read_files().items():
            self.assertIsNone(forbidden.search(file.content), name)

    def test_nothing_from_elsewhere(self) -> None:
        """No file loads anything from another host."""
        for name, file in read_files().items():
            for url in re.findall(rb"(?:https?|wss?)://[\w.]+", file.content):
                self.assertEqual(b"http://www.w3.org", url, name)

    def test_small(self) -> None:
        """The console loads at once, and each file has one subject."""
        files = read_files()
        self.assertLess(sum(len(file.content) for file in files.values()), 100_000)
        for name, file in files.items():
            self.assertLess(file.content.count(b"\n"), 400, name)
