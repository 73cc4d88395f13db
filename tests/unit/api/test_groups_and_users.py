"""Which groups and users there are, and who is in them."""

from twisted.trial.unittest import SynchronousTestCase

from tests.support.in_memory_api import InMemoryApi
from tests.unit.api.test_clients import ids


class MembersTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.api = InMemoryApi()
        self.api.connect("c", "room-1", "a/b", user="42")
        self.api.connect("a", "room-1", user="42")
        self.api.connect("b", "room-2", user="é")

    def test_groups(self) -> None:
        self.assertEqual(
            {
                "groups": [
                    {"group": "a/b", "clients": 1},
                    {"group": "room-1", "clients": 2},
                    {"group": "room-2", "clients": 1},
                ],
                "next": None,
                "total": 3,
            },
            self.api.get("/groups"),
        )

    def test_users(self) -> None:
        self.assertEqual(
            {
                "users": [{"user": "42", "clients": 2}, {"user": "é", "clients": 1}],
                "next": None,
                "total": 2,
            },
            self.api.get("/users"),
        )

    def test_pages(self) -> None:
        self.assertEqual(
            {"groups": [{"group": "room-1", "clients": 2}], "next": "room-1", "total": 3},
            self.api.get("/groups?limit=1&after=a/b"),
        )
        page = self.api.get("/groups/room-1?limit=1")
        self.assertEqual((["a"], "a", 2), (ids(page), page["next"], page["total"]))
        page = self.api.get("/users/42?after=a")
        self.assertEqual((["c"], None, 2), (ids(page), page["next"], page["total"]))

    def test_search(self) -> None:
        page = self.api.get("/groups?search=ROOM")
        self.assertEqual(["room-1", "room-2"], [each["group"] for each in page["groups"]])
        self.assertEqual(2, page["total"])
        page = self.api.get("/groups?search=m&limit=1&after=room-1")
        self.assertEqual(["room-2"], [each["group"] for each in page["groups"]])
        page = self.api.get("/users?search=%C3%89")
        self.assertEqual(([{"user": "é", "clients": 1}], 1), (page["users"], page["total"]))
        self.assertEqual(0, self.api.get("/users?search=room")["total"])

    def test_one(self) -> None:
        self.assertEqual(["a", "c"], ids(self.api.get("/groups/room-1")))
        self.assertEqual(["c"], ids(self.api.get("/groups/a%2Fb")))
        self.assertEqual(["b"], ids(self.api.get("/users/%C3%A9")))
        self.assertEqual(self.api.get("/clients/b"), self.api.get("/users/%C3%A9")["clients"][0])

    def test_nobody(self) -> None:
        for kind in ("group", "user"):
            for name in ("nobody", "", "%00", "%ff"):
                self.assertEqual(
                    (404, {"error": f"{kind} not found"}),
                    self.api.refusal("GET", f"/{kind}s/{name}"),
                )
        self.assertEqual({"groups": [], "next": None, "total": 0}, InMemoryApi().get("/groups"))

    def test_bad_parameters(self) -> None:
        for path in ("/groups", "/groups/room-1", "/users", "/users/42"):
            for query, complaint in (
                ("limit=1001", "limit: expected a number from 1 to 1000"),
                ("group=x", f"'group': no such parameter; there are: {_known(path)}"),
            ):
                self.assertEqual(
                    (400, {"error": complaint}), self.api.refusal("GET", f"{path}?{query}")
                )


def _known(path: str) -> str:
    """The parameters of a path."""
    return "limit, after, search" if path.count("/") == 1 else "limit, after"
