"""Tests for :mod:`phpgw.pools.https.refusal`."""

from twisted.trial.unittest import SynchronousTestCase

from phpgw.pools.https.refusal import ApiRefusal


class RefusalTests(SynchronousTestCase):
    def test_encode(self) -> None:
        """PHP can tell by status, Proxy-Status and text what was wrong."""
        refusal = ApiRefusal(503, "connection_limit_reached", "all are in use", retry_after=1)
        self.assertEqual(
            b"HTTP/1.1 503 Service Unavailable\r\nServer: phpgw\r\n"
            b"Proxy-Status: phpgw; error=connection_limit_reached\r\nRetry-After: 1\r\n"
            b"Content-Type: text/plain; charset=utf-8\r\nContent-Length: 32\r\n"
            b"Connection: close\r\n\r\nphpgw, pool api: all are in use\n",
            refusal.encode("api"),
        )

    def test_head(self) -> None:
        """The response to HEAD has no body."""
        text = ApiRefusal(421, "http_request_denied", "no").encode("api", has_body=False)
        self.assertTrue(text.startswith(b"HTTP/1.1 421 Misdirected Request\r\n"))
        self.assertTrue(text.endswith(b"\r\n\r\n"))
