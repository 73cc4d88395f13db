"""Tests for :mod:`phpgw.checks.public_response`; those with a proxy: test_check_public_way."""

from twisted.trial.unittest import SynchronousTestCase

from phpgw.checks.finding import Finding, Level
from phpgw.checks.public_request import PublicResponse
from phpgw.checks.public_response import explain_response, is_gateway_page
from phpgw.checks.public_url import parse_public_url

_UPSTREAM = "http://127.0.0.1:8080"


def explain(
    status: int = 0,
    body: bytes = b"",
    problem: str = "",
    url: str = "wss://a.example/ws",
    **headers: str,
) -> Finding:
    """Return the finding about a response."""
    response = PublicResponse(status, headers, body, problem)
    return explain_response(parse_public_url(url), response, _UPSTREAM)


class ExplainTests(SynchronousTestCase):
    def assert_wrong(self, subject: str, fix: str, finding: Finding) -> None:
        self.assertEqual((subject, Level.WRONG), (finding.id, finding.level))
        self.assertIn(fix, finding.fix)
        self.assertTrue(finding.why and finding.where and finding.seen, finding)

    def test_no_http(self) -> None:
        """Each thing that is no HTTP/1.1 has a line of its own."""
        self.assert_wrong("public-http", "listen 443 ssl;", explain(problem="HTTP/2"))
        self.assert_wrong("public-http", "listen 443 ssl;", explain(problem="closed"))
        self.assert_wrong("public-http", f"proxy_pass {_UPSTREAM};", explain(problem="timeout"))
        self.assert_wrong(
            "public-http", "listen 443;", explain(problem="not HTTP", body=b"SSH-2.0")
        )

    def test_another_server(self) -> None:
        self.assert_wrong("public-upstream", f"proxy_pass {_UPSTREAM};", explain(101))

    def test_redirects(self) -> None:
        """A redirect to HTTPS is told apart from one to another path."""
        location = "https://a.example/ws"
        to_https = explain(301, url="ws://a.example/ws", location=location)
        self.assert_wrong("public-path", "new WebSocket('wss://a.example/ws')", to_https)
        self.assertIn(location, to_https.seen)
        self.assert_wrong("public-path", "location = /ws {", explain(301, location="/ws/"))

    def test_no_upstream(self) -> None:
        for status in (502, 503, 504):
            self.assert_wrong("public-upstream", f"proxy_pass {_UPSTREAM};", explain(status))

    def test_tls_port(self) -> None:
        body = b"<h1>The plain HTTP request was sent to HTTPS port</h1>"
        found = explain(400, body, url="ws://a.example:443/ws")
        self.assert_wrong("public-http", "new WebSocket('wss://", found)

    def test_refused(self) -> None:
        for status in (401, 403, 407, 429):
            self.assert_wrong("public-http", "auth_basic off;", explain(status))

    def test_upgrade_of_apache(self) -> None:
        self.assert_wrong("public-http", "upgrade=websocket", explain(426))

    def test_web_server_itself(self) -> None:
        """Whatever else comes is of the web server itself; foreign text is cut to a line."""
        for status in (200, 404, 500):
            found = explain(status, b"<p>Not\r\n found</p>" * 100)
            self.assert_wrong("public-path", "location = /ws { proxy_pass", found)
            self.assertLess(len(found.seen), 300)

    def test_page_of_a_gateway(self) -> None:
        page = b"This address speaks WebSocket, not plain HTTP.\n"
        self.assertTrue(is_gateway_page(PublicResponse(426, {}, page)))
        self.assertFalse(is_gateway_page(PublicResponse(426, {}, b"Upgrade Required")))
        self.assertFalse(is_gateway_page(PublicResponse(200, {}, page)))
