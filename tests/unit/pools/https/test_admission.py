"""Tests for :mod:`phpgw.pools.https.admission`."""

from twisted.trial.unittest import SynchronousTestCase

from phpgw.pools.https.admission import ApiAdmission
from phpgw.pools.https.messages import ApiRequestHead
from phpgw.pools.https.refusal import ApiRefusal
from tests.unit.pools.https.test_fields import fields

_HOST = (b"Host", b"localhost")


class AdmissionTests(SynchronousTestCase):
    def check(
        self,
        target: bytes = b"/",
        *pairs: tuple[bytes, bytes],
        method: bytes = b"GET",
        version: str = "1.1",
        from_socket: bool = True,
    ) -> bytes:
        head = ApiRequestHead(method, target, version, fields(*(pairs or (_HOST,))))
        return ApiAdmission(b"api.example:8443").check(head, from_socket=from_socket)

    def refused(self, status: int, *args: object, **options: object) -> None:
        refusal = self.assertRaises(ApiRefusal, self.check, *args, **options)
        self.assertEqual(status, refusal.status)

    def test_target(self) -> None:
        self.assertEqual(b"/a?b", self.check(b"/a?b"))
        self.assertEqual(b"/a", self.check(b"http://api.example/a"))
        self.assertEqual(b"*", self.check(b"*", method=b"OPTIONS"))

    def test_no_open_proxy(self) -> None:
        """Nobody else can be reached through the pool."""
        for target in (b"http://other.example/", b"http://localhost/", b"http://127.0.0.1/"):
            self.refused(421, target)
        self.refused(405, b"other.example:443", method=b"CONNECT")

    def test_bad_target(self) -> None:
        for target in (b"*", b"other.example:443", b"ftp://api.example/", b"/a#b", b""):
            self.refused(400, target)

    def test_host(self) -> None:
        """A name that a page of a stranger could have is refused (DNS rebinding)."""
        for host in (b"localhost", b"127.0.0.1:8080", b"[::1]", b"API.example", b"pool", b""):
            self.check(b"/", (b"Host", host))
        for host in (b"evil.example", b"api.example.evil.example", b"a b", b"api.example@evil"):
            self.refused(421, b"/", (b"Host", host))
        self.refused(400, b"/", _HOST, _HOST)
        self.refused(400, b"/", (b"X", b"y"))
        self.check(b"/", (b"X", b"y"), version="1.0")

    def test_browsers(self) -> None:
        """A page that is open on this machine reaches a port, but no UNIX socket."""
        for name in (b"Origin", b"Sec-Fetch-Site"):
            self.refused(403, b"/", _HOST, (name, b"x"), from_socket=False)
            self.check(b"/", _HOST, (name, b"x"))

    def test_trace(self) -> None:
        """Its response would have the secret fields in it."""
        self.refused(405, b"/", method=b"TRACE")

    def test_versions(self) -> None:
        for version in ("0.9", "2.0"):
            self.refused(505, b"/", version=version)

    def test_codings(self) -> None:
        for coding in (b"gzip, chunked", b"identity", b"chunked, chunked"):
            self.refused(501, b"/", _HOST, (b"Transfer-Encoding", coding))
        self.check(b"/", _HOST, (b"Transfer-Encoding", b"Chunked"))
        self.refused(501, b"/", _HOST, (b"Transfer-Encoding", b"chunked"), version="1.0")
