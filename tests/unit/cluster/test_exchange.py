"""Questions to other nodes, and their answers."""

from typing import Any

from twisted.internet.defer import Deferred, fail, succeed

from phpgw.bus.interface import BusUnavailable
from phpgw.cluster.channels import ALL, group_channel, node_channel
from phpgw.cluster.exchange import NodeGone, NotAnswered
from phpgw.cluster.frames import Question, decode_frame, encode_frame, encode_item
from phpgw.cluster.pending_ask import Answers
from phpgw.time_slices import TooManyJobs
from tests.support.memory_cluster import ClusterTestCase, FixedMembers, MemoryNode


class ExchangeTestCase(ClusterTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.handled: list[tuple[str, str, list[Any]]] = []
        self.answers: dict[str, Any] = {}
        for name, node in self.nodes.items():
            node.exchange.handlers["op"] = self._handler(name)

    def _handler(self, name: str) -> Any:
        def handle(sender: str, arguments: list[Any]) -> Any:
            self.handled.append((name, sender, arguments))
            return self.answers.get(name, name)

        return handle

    def ask(self, node: str = "bbbb", operation: str = "op", *arguments: Any) -> Deferred[Any]:
        return self.a.exchange.ask(node, operation, [*arguments])

    def failure(self, running: Deferred[Any], kind: type[Exception]) -> str:
        self.turn()
        return self.failureResultOf(running, kind).getErrorMessage()


class AskTests(ExchangeTestCase):
    def test_answer(self) -> None:
        self.assertEqual("b", self.result(self.ask("bbbb", "op", 1, "two", b"3", None)))
        self.assertEqual([("b", "aaaa", [1, "two", b"3", None])], self.handled)
        self.assertEqual((1, 0), (self.a.exchange.asked, self.a.exchange.unanswered))

    def test_later_answer(self) -> None:
        """A node that works on it is waited for as long as it says so."""
        later: Deferred[str] = Deferred()
        self.answers["b"] = later
        running = self.ask()
        for _ in range(100):
            self.turn(0.1)
        self.assertNoResult(running)
        later.callback("done")
        self.assertEqual("done", self.result(running))

    def test_handler_that_fails(self) -> None:
        self.answers["b"] = fail(ValueError("broken"))
        self.assertEqual("node bbbb: broken", self.failure(self.ask(), NotAnswered))
        exchange = self.a.exchange
        self.assertEqual((1, 1, 0), (exchange.asked, exchange.unanswered, exchange.waiting))
        self.assertEqual(1, len(self.flushLoggedErrors(ValueError)))

    def test_handler_that_is_busy(self) -> None:
        """That is nothing for the log."""
        self.answers["b"] = fail(TooManyJobs())
        text = self.failure(self.ask(), NotAnswered)
        self.assertEqual("node bbbb: too much is under way", text)

    def test_operation_that_is_not_known(self) -> None:
        """An older node says so."""
        text = self.failure(self.ask("bbbb", "new"), NotAnswered)
        self.assertEqual("node bbbb: it does not know new", text)

    def test_wrong_arguments(self) -> None:
        self.failure(self.ask("bbbb", "run", 1, 2, 3), NotAnswered)
        self.failure(self.ask("bbbb", "run", ["fly"]), NotAnswered)

    def test_no_such_node(self) -> None:
        self.failure(self.ask("dddd"), NodeGone)

    def test_node_without_bus(self) -> None:
        self.b.bus.lose()
        text = self.failure(self.ask(), NotAnswered)
        self.assertEqual("node bbbb does not answer", text)

    def test_question_that_did_not_get_there(self) -> None:
        """A spy on the channel is no node that has received it."""
        self.b.bus.is_deaf = True
        running = self.ask()
        self.turn()
        self.b.bus.is_deaf = False
        self.turn(0.11)
        self.assertIn("did not get there", self.failure(running, NotAnswered))

    def test_question_while_the_node_had_no_bus(self) -> None:
        self.b.bus.lose()
        self.engine.spies = 1
        running = self.ask()
        self.turn()
        self.b.bus.restore()
        self.turn(0.11)
        self.assertIn("has lost frames", self.failure(running, NotAnswered))

    def test_gathered(self) -> None:
        """What is for a node in one turn is one frame, and so are its answers."""
        running = [self.ask() for _ in range(50)]
        self.turn()
        self.assertEqual(["b"] * 50, [self.successResultOf(each) for each in running])
        self.assertEqual(2, len(self.engine.published))

    def test_long_frames(self) -> None:
        """A frame is not gathered without limit."""
        for _ in range(10):
            self.ask("bbbb", "op", b"x" * 30_000)
        self.turn()
        frames = [frame for channel, frame in self.engine.published if channel == b"n:bbbb"]
        self.assertEqual(4, len(frames))

    def test_order(self) -> None:
        """Questions of the same order are handled one after another, others meanwhile."""
        first: Deferred[str] = Deferred()
        self.answers["b"] = first
        running = [self.a.exchange.ask("bbbb", "op", [n], order="x") for n in range(3)]
        self.turn()
        self.answers["b"] = "at once"
        other = self.ask("bbbb", "op", 9)
        self.assertEqual("at once", self.result(other))
        self.assertEqual([[0], [9]], [arguments for _, _, arguments in self.handled])
        first.callback("first")
        self.turn()
        done = [self.successResultOf(each) for each in running]
        self.assertEqual(["first", "at once", "at once"], done)
        self.assertEqual([[0], [9], [1], [2]], [arguments for _, _, arguments in self.handled])

    def test_order_of_answers_that_are_there(self) -> None:
        """Many questions in a row whose answers need no more waiting are handled all the same."""
        first: Deferred[str] = Deferred()
        self.answers["b"] = first
        running = [self.a.exchange.ask("bbbb", "op", [n], order="x") for n in range(2_000)]
        self.turn()
        node = self.nodes["b"].exchange
        node.handlers["op"] = lambda sender, arguments: succeed(arguments[0])
        first.callback("first")
        self.turn()
        done = [self.successResultOf(each) for each in running]
        self.assertEqual(["first", *range(1, 2_000)], done)
        self.assertEqual(0, self.result(self.a.exchange.ask("bbbb", "op", [0], order="x")))

    def test_order_of_an_answer_that_waits_for_another_deferred(self) -> None:
        """An answer that has begun is not one that is there."""
        first: Deferred[str] = Deferred()
        second: Deferred[str] = Deferred()
        self.answers["b"] = first
        running = [self.a.exchange.ask("bbbb", "op", [n], order="x") for n in range(3)]
        self.turn()
        self.answers["b"] = succeed(None).addCallback(lambda _: second)
        first.callback("first")
        self.turn()
        self.assertEqual([[0], [1]], [arguments for _, _, arguments in self.handled])
        self.answers["b"] = "third"
        second.callback("second")
        self.turn()
        done = [self.successResultOf(each) for each in running]
        self.assertEqual(["first", "second", "third"], done)

    def test_question_that_waits_is_under_way(self) -> None:
        """A node that has not begun with it, because of an earlier one, is waited for, too."""
        first: Deferred[str] = Deferred()
        self.answers["b"] = first
        running = [self.a.exchange.ask("bbbb", "op", [n], order="x") for n in range(2)]
        for _ in range(50):
            self.turn(0.1)
        self.assertNoResult(running[1])
        first.callback("first")
        self.turn()
        self.assertEqual("first", self.successResultOf(running[0]))


class AskAllTests(ExchangeTestCase):
    def ask_all(self, channel: bytes = ALL) -> Deferred[Answers]:
        return self.a.exchange.ask_all(channel, "op", [])

    def test_answers(self) -> None:
        self.assertEqual(Answers({"bbbb": "b", "cccc": "c"}), self.result(self.ask_all()))

    def test_nobody(self) -> None:
        self.assertEqual(Answers({}), self.result(self.ask_all(group_channel("g"))))

    def test_own_subscription(self) -> None:
        """This node does not answer itself, and is not waited for."""
        for node in (self.a, self.b):
            node.bus.subscribe(group_channel("g"))
        answers = self.result(self.ask_all(group_channel("g")))
        self.assertEqual(Answers({"bbbb": "b"}), answers)

    def test_frame_that_was_lost(self) -> None:
        """A node that answers the fence and not the question never had it."""
        self.b.bus.is_deaf = True
        running = self.ask_all()
        self.turn()
        self.b.bus.is_deaf = False
        self.assertEqual(Answers({"cccc": "c"}), self.result(running, 0.11))

    def test_answer_that_was_lost(self) -> None:
        """A node that has lost the bus since it was asked says that it does not know."""
        self.answers["b"] = later = Deferred[str]()
        running = self.ask_all()
        self.turn()
        self.b.bus.lose()
        later.callback("done")
        self.turn()
        self.b.bus.restore()
        answers = self.result(running, 0.11)
        lost = "node bbbb: it has lost frames meanwhile"
        self.assertEqual(Answers({"cccc": "c"}, lost), answers)

    def test_question_after_a_loss(self) -> None:
        """A node that has lost the bus before it was asked is as good as any."""
        self.b.bus.lose()
        self.b.bus.restore()
        self.turn(1.5)
        self.engine.spies = 1
        self.b.bus.subscribe(group_channel("g"))
        answers = self.result(self.ask_all(group_channel("g")), 0.11)
        self.assertEqual(Answers({"bbbb": "b"}), answers)

    def test_node_that_was_stopped(self) -> None:
        """A node that others may have declared dead does nothing for them, and says so."""
        self.b.members.is_in_touch = False
        answers = self.result(self.ask_all())
        stopped = "node bbbb: it was stopped or cut off for a while"
        self.assertEqual(Answers({"cccc": "c"}, stopped), answers)
        self.assertEqual(["c"], [name for name, *_ in self.handled])

    def test_stopped_before_its_turn(self) -> None:
        """What waits behind other work is not done either, once the node was stopped meanwhile."""
        self.answers["b"] = first = Deferred[str]()
        asked = [
            self.a.exchange.ask("bbbb", "op", [], "in this order"),
            self.a.exchange.ask("bbbb", "op", [], "in this order"),
        ]
        self.turn()
        self.b.members.is_in_touch = False
        first.callback("done")
        self.turn()
        self.assertEqual("done", self.successResultOf(asked[0]))
        self.failureResultOf(asked[1], NotAnswered)
        self.assertEqual(["b"], [name for name, *_ in self.handled])

    def test_long_work(self) -> None:
        """One that works on it is waited for, and one that stops to answer then is named."""
        self.answers["b"] = Deferred()
        later: Deferred[str] = Deferred()
        self.answers["c"] = later
        running = self.ask_all()
        for _ in range(30):
            self.turn(0.1)
        later.callback("late")
        self.turn()
        self.b.bus.is_deaf = True
        self.assertNoResult(running)
        for _ in range(30):
            self.turn(0.1)
        answers = self.result(running)
        self.assertEqual(Answers({"cccc": "late"}, "node bbbb does not answer"), answers)

    def test_several_silent(self) -> None:
        self.b.bus.is_deaf = self.nodes["c"].bus.is_deaf = True
        running = self.ask_all()
        for _ in range(12):
            self.turn(0.1)
        self.assertEqual(Answers({}, "nodes bbbb, cccc do not answer"), self.result(running))

    def test_engine_frozen(self) -> None:
        """The bus says when it gives up."""
        self.a.bus.freeze()
        running = self.ask_all()
        self.turn()
        self.a.bus.lose("no reply in time")
        self.assertEqual(Answers({}, "no reply in time"), self.result(running))

    def test_new_node(self) -> None:
        """One that is not known yet to be a member answers, too."""
        new = MemoryNode(self.engine, self.clock, FixedMembers("dddd", {"dddd"}))
        new.exchange.handlers["op"] = self._handler("d")
        self.turn()
        answers = self.result(self.ask_all())
        self.assertEqual({"bbbb": "b", "cccc": "c", "dddd": "d"}, answers.values)
        self.a.members.live = frozenset({"aaaa"})
        self.assertEqual(answers, self.result(self.ask_all()))

    def test_answers_that_come_too_late(self) -> None:
        """They change nothing."""
        later: Deferred[str] = Deferred()
        self.answers["b"] = later
        running = self.ask_all()
        self.turn()
        self.a.bus.lose("gone")
        answers = self.result(running)
        self.a.bus.restore()
        later.callback("late")
        self.turn()
        self.assertEqual(Answers({"cccc": "c"}, "gone"), answers)


class TellTests(ExchangeTestCase):
    def test_no_answer(self) -> None:
        told = self.a.exchange.tell(node_channel("bbbb"), "op", [1])
        self.assertEqual(1, self.result(told))
        self.assertEqual([("b", "aaaa", [1])], self.handled)
        self.assertEqual(1, len(self.engine.published))

    def test_engine_away(self) -> None:
        self.a.bus.lose("refused")
        told = self.a.exchange.tell(ALL, "op", [])
        self.failure(told, BusUnavailable)

    def test_order_between_channels(self) -> None:
        """What is for several nodes neither overtakes what is for one, nor the other way round."""
        self.b.bus.subscribe(group_channel("g"))
        channels = [node_channel("bbbb"), group_channel("g"), ALL, node_channel("bbbb"), ALL] * 20
        for n, channel in enumerate(channels):
            self.a.exchange.tell(channel, "op", [n])
        self.turn()
        numbers = [arguments for name, _, arguments in self.handled if name == "b"]
        self.assertEqual([[n] for n in range(100)], numbers)


class LifeTests(ExchangeTestCase):
    def test_new_id(self) -> None:
        """A node that has a new id is asked under that one alone."""
        self.b.members.node_id = "eeee"
        for observer in self.b.members.observers:
            observer.renamed("bbbb")
        for node in self.nodes.values():
            node.members.live = frozenset(("aaaa", "cccc", "eeee"))
        self.turn()
        self.assertEqual("b", self.result(self.ask("eeee")))
        self.failure(self.ask("bbbb"), NodeGone)

    def test_own_question_under_the_old_id(self) -> None:
        """What a node has published before it got a new id is not another one's question."""
        self.a.bus.latency = 0.01
        running = self.a.exchange.ask_all(ALL, "op", [])
        self.turn()
        self.a.members.node_id = "eeee"
        for observer in self.a.members.observers:
            observer.renamed("aaaa")
        self.turn(2)
        self.assertEqual(["b", "c"], [name for name, *_ in self.handled])
        self.assertTrue(running.called)

    def test_stop(self) -> None:
        """A node that has stopped is not asked any more, and has asked in vain."""
        self.answers["c"] = Deferred()
        running = self.b.exchange.ask("cccc", "op", [])
        self.turn()
        self.b.exchange.stopService()
        self.assertIn("stops", self.failure(running, NotAnswered))
        self.a.members.leave("bbbb")
        self.failure(self.ask(), NodeGone)
        self.assertEqual([], [call for call in self.clock.getDelayedCalls() if call.active()])

    def test_stop_is_known_at_once(self) -> None:
        """A node that has stopped is gone before the membership notices."""
        self.b.exchange.stopService()
        self.turn()
        self.b.bus.lose()
        self.failure(self.ask(), NodeGone)
        self.assertEqual([], self.result(self.a.exchange.cut_off()))
        self.a.members.leave("bbbb")
        self.failure(self.ask(), NodeGone)

    def test_hostile_frames(self) -> None:
        """What is no frame, and what nobody has asked for, changes nothing."""
        running = self.ask()
        question = encode_item(Question(1, "op", []))
        for frame in (b"", b"\xff", b'{"v":1}', encode_frame("bbbb", [b"\x93\x01\x01\x07"])):
            self.engine.publish(node_channel("aaaa"), frame)
        self.engine.publish(node_channel("bbbb"), encode_frame("zzzz", [question]))
        self.assertEqual("b", self.result(running))

    def test_answer_of_another_node(self) -> None:
        """Only the node that was asked can answer."""
        self.b.bus.is_deaf = True
        running = self.ask()
        self.turn()
        [(_, frame)] = self.engine.published
        [asked] = decode_frame(frame).items
        forged = b"\x94\x01" + bytes([asked.number]) + b"\x00\xa1x"
        self.engine.publish(node_channel("aaaa"), encode_frame("cccc", [forged]))
        self.turn()
        self.assertNoResult(running)
