"""Who is connected, on whichever node."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from phpgw.cluster.page_codec import decode_clients, decode_names, encode_page
from phpgw.cluster.page_merge import merge_clients, merge_names
from phpgw.hub.directory import ClientInfo, NameCount, NotKnown, Page, PageQuery
from phpgw.time_slices import run_to_completion
from tests.support.memory_cluster import ClusterTestCase


def info(client_id: str) -> ClientInfo:
    return ClientInfo(client_id, None, ("g",), "s", 1.5, b"/ws", "192.0.2.1", None, b"\xff")


def page_of_names(names: dict[str, int], query: PageQuery) -> Page[NameCount]:
    """The page of one node with these names and numbers of clients."""
    part, following = run_to_completion(query.select([*names]))
    return Page([NameCount(name, names[name]) for name in part], following, len(names))


class DirectoryTests(ClusterTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.client = self.b.connect("1", "g", "h", user="u")
        self.a.connect("1", "g")
        self.a.connect("2", user="u")
        self.nodes["c"].connect("9", "g", user="v")
        self.turn()

    def ids(self, limit: int = 100, after: str = "", **options: str) -> list[str]:
        page = self.result(self.a.directory.clients(PageQuery(limit, after), **options))
        return [each.client_id for each in page.entries]

    def unknown(self, running: Any) -> str:
        assert isinstance(running, Deferred)
        for _ in range(12):
            self.turn(0.1)
        return self.failureResultOf(running, NotKnown).getErrorMessage()

    def test_find(self) -> None:
        """A client of another node is described as that node does."""
        found = self.result(self.a.directory.find(self.client.id))
        self.assertEqual(self.result(self.b.directory.find(self.client.id)), found)
        self.assertEqual(("g", "h"), found.groups)
        for client_id in ("bbbb.2", "dddd.1", "aaaa.7", "x"):
            self.assertIsNone(self.result(self.a.directory.find(client_id)))
        self.assertEqual("aaaa.1", self.result(self.a.directory.find("aaaa.1")).client_id)

    def test_clients(self) -> None:
        self.assertEqual(["aaaa.1", "aaaa.2", "bbbb.1", "cccc.9"], self.ids())
        self.assertEqual(["aaaa.1", "bbbb.1", "cccc.9"], self.ids(group="g"))
        self.assertEqual(["aaaa.2", "bbbb.1"], self.ids(user="u"))
        self.assertEqual(["cccc.9"], self.ids(search="V"))
        self.assertEqual([], self.ids(group="x"))
        self.assertEqual(["bbbb.1"], self.ids(1, "aaaa.2"))

    def test_names(self) -> None:
        page = self.result(self.a.directory.names(PageQuery(100), "group"))
        self.assertEqual(Page([NameCount("g", 3), NameCount("h", 1)], None, 2), page)
        page = self.result(self.a.directory.names(PageQuery(1), "user"))
        self.assertEqual(([NameCount("u", 2)], "u"), (page.entries, page.next))

    def test_node_that_hangs(self) -> None:
        """An answer that may lack something is none."""
        self.b.bus.is_deaf = True
        for running in (
            self.a.directory.find(self.client.id),
            self.a.directory.clients(PageQuery(10)),
            self.a.directory.clients(PageQuery(10), group="g"),
            self.a.directory.names(PageQuery(10), "group"),
        ):
            self.assertEqual("node bbbb does not answer", self.unknown(running))

    def test_node_that_is_cut_off(self) -> None:
        """It may have clients that are asked for, as long as it has a lease."""
        self.b.bus.lose()
        self.assertEqual(
            "not on the bus: bbbb", self.unknown(self.a.directory.clients(PageQuery(9)))
        )
        self.a.members.leave("bbbb")
        self.assertEqual(["aaaa.1", "aaaa.2", "cccc.9"], self.ids())
        self.assertIsNone(self.result(self.a.directory.find(self.client.id)))

    def test_engine_away(self) -> None:
        """Only the clients of this node are known."""
        self.a.bus.lose("refused")
        self.assertEqual("aaaa.1", self.result(self.a.directory.find("aaaa.1")).client_id)
        self.assertEqual("refused", self.unknown(self.a.directory.find(self.client.id)))
        self.assertEqual("refused", self.unknown(self.a.directory.clients(PageQuery(9))))

    def test_answer_that_is_not_understood(self) -> None:
        self.b.exchange.handlers["find"] = lambda sender, arguments: ["strange"]
        self.assertIn("no client", self.unknown(self.a.directory.find(self.client.id)))
        self.b.exchange.handlers["names"] = lambda sender, arguments: [[["x"]], None, 1]
        self.assertIn("no group", self.unknown(self.a.directory.names(PageQuery(9), "group")))
        self.b.exchange.handlers["clients"] = lambda sender, arguments: 5
        self.assertIn("no page", self.unknown(self.a.directory.clients(PageQuery(9))))


class PageTests(SynchronousTestCase):
    @given(
        st.lists(st.dictionaries(st.text("abc", max_size=3), st.integers(1, 9)), min_size=1),
        st.integers(1, 5),
    )
    def test_names(self, nodes: list[dict[str, int]], limit: int) -> None:
        """A walk through the merged pages finds each name once, in order, with all its clients."""
        walked: dict[str, int] = {}
        following: str | None = ""
        names = sorted({name for node in nodes for name in node if name})
        while following is not None:
            query = PageQuery(limit, following)
            page = merge_names([page_of_names(node, query) for node in nodes], limit)
            self.assertTrue(len(page.entries) == limit or page.next is None)
            self.assertLessEqual(page.total, len({name for node in nodes for name in node}))
            for each in page.entries:
                self.assertNotIn(each.name, walked)
                walked[each.name] = each.clients
            following = page.next
        self.assertEqual(names, [*walked])
        for name in names:
            self.assertEqual(sum(node.get(name, 0) for node in nodes), walked[name])

    def test_total_of_names(self) -> None:
        """It is exact where that is known, and says so where it is not."""
        one, two = {"a": 1, "b": 1, "c": 1}, {"b": 1, "c": 1, "d": 1}
        for limit, total, is_exact in ((3, 4, True), (2, 3, False)):
            query = PageQuery(limit)
            page = merge_names([page_of_names(one, query), page_of_names(two, query)], limit)
            self.assertEqual((total, is_exact), (page.total, page.is_total_exact))
        page = merge_names([page_of_names(one, PageQuery(1)), page_of_names({}, PageQuery(1))], 1)
        self.assertEqual((3, True), (page.total, page.is_total_exact))

    def test_client_that_has_just_left(self) -> None:
        """A page that lacks an entry hides none of another node's."""
        shorter = Page([info("a"), info("b")], "c", 9)
        other = Page([info("x"), info("y"), info("z")], None, 3)
        page = merge_clients([shorter, other], 3)
        self.assertEqual((["a", "b"], "c"), ([each.client_id for each in page.entries], page.next))
        self.assertEqual(12, page.total)

    def test_round_trip(self) -> None:
        """A page comes to another node as it is."""
        clients = Page([info("a"), info("b")], "b", 7)
        self.assertEqual(clients, decode_clients(_as_received(encode_page(clients))))
        names = Page([NameCount("g", 3)], None, 1)
        self.assertEqual(names, decode_names(_as_received(encode_page(names))))


def _as_received(value: Any) -> Any:
    """Turn tuples into lists, as frames do."""
    return [*map(_as_received, value)] if isinstance(value, list | tuple) else value
