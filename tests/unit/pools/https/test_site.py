"""Tests for :mod:`phpgw.pools.https.site`."""

from tests.support.api_pool import GET, OK, ApiTestCase


class StopTests(ApiTestCase):
    def test_stop(self) -> None:
        """Idle connections are closed at once, the others after their response."""
        idle = self.connect()
        php, api = self.ask()
        self.site.stop()
        self.assertTrue(idle.is_closed)
        self.assertFalse(php.is_closed)
        api.send(OK)
        self.assertIn(b"\r\nConnection: close\r\n", php.received())
        self.assertTrue(php.is_closed)
        self.site.stop()

    def test_stop_at_once(self) -> None:
        """Who waits for a response is told; a response that has begun is cut off, visibly."""
        waiting, api = self.ask()
        begun, other = self.ask()
        other.send(OK[:-1])
        begun.received()
        idle = self.connect()
        for php in (waiting, begun, idle):
            php.connection.stop()
            self.assertTrue(php.is_closed)
        response = waiting.received()
        self.assertTrue(response.startswith(b"HTTP/1.1 503 "))
        self.assertIn(b"not known", response)
        self.assertTrue(begun.transport.is_aborted)
        self.assertEqual([api.connection, other.connection], self.pool.discarded)


class BrowserTests(ApiTestCase):
    def test_browser(self) -> None:
        """A port is refused to pages in a browser."""
        php = self.connect(over_tcp=True)
        php.send(GET.replace(b"\r\n\r\n", b"\r\nOrigin: https://evil.example\r\n\r\n"))
        self.assertTrue(php.received().startswith(b"HTTP/1.1 403 "))
