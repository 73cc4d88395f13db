"""Tests for :mod:`phpgw.websocket.cross_origin`."""

from twisted.logger import LogLevel, capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from phpgw.metrics import Metrics
from phpgw.websocket.cross_origin import CrossOriginLog


class LogTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.metrics = Metrics()
        self.log = CrossOriginLog(self.metrics)

    def lines(self, *handshakes: tuple[str, str], is_refused: bool = False) -> list[str]:
        """The warnings about handshakes with these values of Origin and Host."""
        with capturedLogs() as events:
            for origin, host in handshakes:
                header, requested_host = origin.encode("latin-1"), host.encode("latin-1")
                self.log.record(header, requested_host, is_refused=is_refused)
        return [formatEvent(event) for event in events if event["log_level"] is LogLevel.warn]

    def test_remedies(self) -> None:
        """The line has the origin, the requested host and a remedy."""
        for origin, host, remedy in (
            ("http://localhost:8000", "127.0.0.1:8080", "connect to localhost, by the very name"),
            ("http://127.0.0.1", "localhost:8080", "connect to 127.0.0.1, by the very name"),
            ("https://example.com", "127.0.0.1:8080", "proxy_set_header Host $host"),
            ("https://example.com", "phpgw", "proxy_set_header Host $host"),
            ("https://example.com", "10.0.0.5:8080", "proxy_set_header Host $host"),
            ("https://example.com", "[::1]", "proxy_set_header Host $host"),
            ("http://example.com", "example.com", "serve its pages by https://"),
            ("https://a.example", "b.example", "a site of yours: --allow-origin https://a.example"),
            ("http://localhost:3000", "b.example", "--allow-origin http://localhost:3000"),
            ("capacitor://localhost", "b.example", "--allow-origin capacitor://localhost"),
            ("null", "b.example", "--allow-origin null"),
            ("http://evil\\@b.example", "b.example", "No browser writes such an Origin"),
            ("javascript://b.example", "b.example", "No browser writes such an Origin"),
        ):
            self.setUp()
            [line] = self.lines((origin, host))
            for part in (ascii(origin)[1:-1], host, remedy, "without their visitors' cookies"):
                self.assertIn(part, line)

    def test_refused(self) -> None:
        [line] = self.lines(("https://a.example", "b.example"), is_refused=True)
        self.assertIn("may not connect", line)
        self.assertIn("--allow-origin https://a.example", line)

    def test_once(self) -> None:
        """Once per site, in any spelling; all handshakes are counted."""
        page, other = ("https://a.example", "b.example"), ("https://c.example", "b.example")
        self.assertEqual(2, len(self.lines(page, page, other, ("HTTPS://A.example:443", "x"))))
        self.assertEqual([], self.lines(page, other))
        self.assertEqual(6, self.metrics.handshakes_cross_origin)

    def test_flood(self) -> None:
        """Many invented origins fill neither the log nor memory."""
        lines = self.lines(*((f"https://{number}.example", "b.example") for number in range(1000)))
        self.assertEqual(100, len(lines))
        self.assertTrue(lines[-1].endswith("(No further origin is named.)"))
        self.assertEqual(1000, self.metrics.handshakes_cross_origin)

    def test_nothing_unescaped(self) -> None:
        """Long origins do not, either."""
        [line] = self.lines(("\x1b[31m\xff" + "a" * 10_000, "\x9b" + "b" * 10_000))
        self.assertTrue(line.isascii() and line.isprintable())
        self.assertLess(len(line), 400)
