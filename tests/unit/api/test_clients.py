"""Who is connected, and who is sent off."""

from urllib.parse import quote

from twisted.internet.address import UNIXAddress
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from tests.support.fakes import handshake
from tests.support.in_memory_api import InMemoryApi


def ids(page: dict[str, list[dict[str, str]]]) -> list[str]:
    """Those of a page's clients."""
    return [client["client_id"] for client in page["clients"]]


class OneClientTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.api = InMemoryApi()

    def test_all_that_is_told(self) -> None:
        self.api.connect(
            "127.0.0.1:51110",
            "room-2",
            "room-1",
            user="42",
            state="{}",
            connected_at=1_600_000_000.25,
            handshake=handshake(
                peer_host="192.0.2.7",
                path=b"/ws",
                query=b"token=secret",
                headers=(
                    (b"Origin", b"https://app.example.com"),
                    (b"User-Agent", "Mözilla".encode()),
                    (b"Cookie", b"PHPSESSID=secret"),
                    (b"Authorization", b"Bearer secret"),
                ),
            ),
        )
        self.assertEqual(
            {
                "client_id": "127.0.0.1:51110",
                "user": "42",
                "groups": ["room-1", "room-2"],
                "state": "{}",
                "connected_at": "2020-09-13T12:26:40.250Z",
                "path": "/ws",
                "address": "192.0.2.7",
                "origin": "https://app.example.com",
                "user_agent": "Mözilla",
            },
            self.api.get("/clients/127.0.0.1:51110"),
        )

    def test_little_to_tell(self) -> None:
        """A client on a UNIX socket that sends no header."""
        self.api.connect("unix:1", handshake=handshake(peer_host="", path=b"/\xff"))
        client = self.api.get("/clients/unix:1")
        self.assertEqual([], client["groups"])
        for name in ("user", "state", "address", "origin", "user_agent"):
            self.assertIdentical(None, client[name])
        self.assertEqual("/\ufffd", client["path"])

    def test_any_id(self) -> None:
        for client_id in ("[::1]:51110", "a/b", "a b", "a%2Fb", "é", "用户", "?", "#", "..", "a+b"):
            self.api.connect(client_id)
            found = self.api.get("/clients/" + quote(client_id, safe=""))
            self.assertEqual(client_id, found["client_id"])

    def test_unknown(self) -> None:
        for path in ("127.0.0.1:1", "", "%00", "%ff", "%ed%a0%80", "x" * 5000, "%"):
            for method in ("GET", "DELETE"):
                self.assertEqual(
                    (404, {"error": "client not found"}),
                    self.api.refusal(method, f"/clients/{path}"),
                )

    def test_id_cut_by_a_slash(self) -> None:
        self.api.connect("a/b")
        self.assertEqual(404, self.api.ask("GET", "/clients/a/b").status)


class ListTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.api = InMemoryApi()
        for client_id, group, user in (("c", "x", "1"), ("a", "x", "2"), ("b", "y", "1")):
            self.api.connect(client_id, group, user=user)

    def test_all(self) -> None:
        page = self.api.get("/clients")
        self.assertEqual(["a", "b", "c"], ids(page))
        self.assertEqual((None, 3), (page["next"], page["total"]))
        self.assertEqual(self.api.get("/clients/a"), page["clients"][0])

    def test_nobody(self) -> None:
        self.assertEqual({"clients": [], "next": None, "total": 0}, InMemoryApi().get("/clients"))

    def test_filters(self) -> None:
        for query, expected in (
            ("group=x", ["a", "c"]),
            ("user=1", ["b", "c"]),
            ("group=x&user=1", ["c"]),
            ("group=z", []),
            ("user=z", []),
            ("group=z&user=1", []),
            ("group=&user=", []),
        ):
            page = self.api.get(f"/clients?{query}")
            self.assertEqual(expected, ids(page), query)
            self.assertEqual(len(expected), page["total"])

    def test_search(self) -> None:
        """It finds a part of the id, the user, a group or the address, beside the filters."""
        self.api.connect("d", "Hall", user="Anna", handshake=handshake(peer_host="203.0.113.7"))
        for query, expected in (
            ("search=HALL", ["d"]),
            ("search=ann", ["d"]),
            ("search=113.7", ["d"]),
            ("search=127.0.0.1", ["a", "b", "c"]),
            ("search=2", ["a", "b", "c", "d"]),
            ("search=x&user=1", ["c"]),
            ("search=hall&group=x", []),
            ("search=%25", []),
            ("search=", ["a", "b", "c", "d"]),
        ):
            page = self.api.get(f"/clients?{query}")
            self.assertEqual((expected, len(expected)), (ids(page), page["total"]), query)
        page = self.api.get("/clients?search=127.0.0.1&limit=2&after=a")
        self.assertEqual((["b", "c"], None, 3), (ids(page), page["next"], page["total"]))

    def test_pages(self) -> None:
        """The total is that of all pages, also where a filter is set."""
        page = self.api.get("/clients?limit=2")
        self.assertEqual((["a", "b"], "b", 3), (ids(page), page["next"], page["total"]))
        page = self.api.get("/clients?limit=2&after=b")
        self.assertEqual((["c"], None, 3), (ids(page), page["next"], page["total"]))
        page = self.api.get("/clients?limit=1&group=x")
        self.assertEqual((["a"], "a", 2), (ids(page), page["next"], page["total"]))

    def test_bad_parameters(self) -> None:
        for query, complaint in (
            ("limit=0", "limit: expected a number from 1 to 1000"),
            ("limt=5", "'limt': no such parameter; there are: limit, after, group, user, search"),
            ("after=%ff", "after: it is not UTF-8"),
            ("search=" + "x" * 257, "search: expected at most 256 characters"),
            ("%ff=1", r"'\xff': no such parameter; there are: limit, after, group, user, search"),
            ("&".join(["a=1"] * 101), "the query cannot be read: there are more than 100 fields"),
        ):
            self.assertEqual(
                (400, {"error": complaint}), self.api.refusal("GET", f"/clients?{query}")
            )


class CloseTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.api = InMemoryApi()
        self.connection = self.api.connect("a/b")

    def test_close(self) -> None:
        answer = self.api.ask("DELETE", "/clients/a%2Fb")
        self.assertEqual((204, b""), (answer.status, answer.body))
        self.assertEqual((1000, ""), self.connection.closed)

    def test_no_length(self) -> None:
        """RFC 9110, section 8.6."""
        answer = self.api.ask("DELETE", "/clients/a%2Fb")
        for name in ("Content-Length", "Content-Type", "Transfer-Encoding"):
            self.assertNotIn(name, answer.headers)

    def test_code_and_reason(self) -> None:
        self.api.ask("DELETE", "/clients/a%2Fb?code=4001&reason=bye+%C3%A9")
        self.assertEqual((4001, "bye é"), self.connection.closed)

    def test_reason_that_does_not_fit(self) -> None:
        """It is made to: PHP wants the client to go."""
        self.api.ask("DELETE", "/clients/a%2Fb?reason=x%0A" + "%C3%A9" * 80)
        self.assertEqual((1000, "x " + "é" * 60), self.connection.closed)

    def test_bad_parameters(self) -> None:
        codes = "code: expected one of 1000-1003, 1007-1014, 3000-4999"
        for query, complaint in (
            ("code=1005", codes),
            ("code=", codes),
            ("code=x", codes),
            ("code=%D9%A3000", codes),
            ("code=-1000", codes),
            ("code=1000.0", codes),
            ("code=" + "1" * 5000, codes),
            ("reason=%ff", "reason: it is not UTF-8"),
            ("limit=1", "'limit': no such parameter; there are: code, reason"),
        ):
            self.assertEqual(
                (400, {"error": complaint}), self.api.refusal("DELETE", f"/clients/a%2Fb?{query}")
            )
        self.assertIdentical(None, self.connection.closed)

    def test_log(self) -> None:
        """Who has closed whom; what they were told is their own."""
        with capturedLogs() as events:
            self.api.ask("DELETE", "/clients/a%2Fb?code=4001&reason=secret")
            self.api.ask("DELETE", "/clients/a%2Fb", peer=UNIXAddress(None))
            self.api.ask("DELETE", "/clients/nobody")
        texts = [formatEvent(event) for event in events if "client_id" in event]
        self.assertEqual(
            [
                "127.0.0.1:51110 has closed client a/b: code 4001",
                "This machine has closed client a/b: code 1000",
            ],
            texts,
        )
        self.assertNotIn("secret", "".join(map(formatEvent, events)))
