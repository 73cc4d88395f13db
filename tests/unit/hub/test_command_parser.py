"""What is a command, and what those are told who give another."""

import json
from base64 import b64encode
from typing import Any, get_args

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from phpgw.hub.command_fields import close_code, close_reason
from phpgw.hub.command_parser import MAX_COMMANDS, OPS, parse_command, parse_commands
from phpgw.hub.commands import (
    Bind,
    Close,
    Command,
    InvalidCommand,
    Join,
    Leave,
    Open,
    Send,
    SetState,
    Target,
    Unbind,
)
from phpgw.metrics import COMMAND_OPS

STRING = "; (string) makes a text in PHP"
CLIENT = {"client": "127.0.0.1:51110"}
TO_CLIENT = Target("client", ("127.0.0.1:51110",))

# Names: no control characters, no halves of surrogate pairs.
names = st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=256)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=256)
codes = st.one_of(st.integers(1000, 1003), st.integers(1007, 1014), st.integers(3000, 4999))
targets = st.builds(
    Target,
    st.sampled_from(["client", "group", "user"]),
    st.lists(names, max_size=3).map(tuple),
    st.frozensets(names, max_size=2),
) | st.builds(Target, st.just("all"), st.just(()), st.frozensets(names, max_size=2))
tokens = st.text("abc.-123", min_size=1, max_size=64)
upstreams = st.builds(Target, st.just("upstream"), tokens.map(lambda name: (name,)))
commands = st.one_of(
    st.builds(Send, targets, texts.map(str.encode)),
    st.builds(Send, targets, st.binary(), st.just(True)),
    st.builds(Join, targets, names),
    st.builds(Leave, targets, names),
    st.builds(Bind, targets, names),
    st.builds(Unbind, targets),
    st.builds(SetState, targets, texts),
    st.builds(Close, targets, codes, names.map(lambda name: name[:30])),
    st.builds(Send, upstreams, texts.map(str.encode)),
    st.builds(Close, upstreams, codes, names.map(lambda name: name[:30])),
    st.builds(
        Open,
        upstreams,
        st.none() | texts,
        st.dictionaries(texts, texts, max_size=2).map(lambda named: tuple(named.items())),
        st.lists(tokens, max_size=2, unique=True).map(tuple),
        st.booleans(),
    ),
)

# Anything that JSON can hold, and things that are nearly commands.
anything = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(allow_nan=False, allow_infinity=False),
        st.text(st.characters(exclude_categories=[])),
    ),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=5,
)
_OPS = ["send", "join", "leave", "bind", "unbind", "state", "close", "open", "op"]
_FIELDS = [
    "message",
    "data",
    "group",
    "user",
    "state",
    "code",
    "reason",
    "except",
    "name",
    "url",
    "headers",
    "x",
]
_NAMED = ["client", "clients", "group", "groups", "user", "users", "all", "upstream", "x"]
nearly = st.builds(
    lambda op, to, rest: {**op, **to, **rest},
    st.fixed_dictionaries({}, optional={"op": st.sampled_from(_OPS) | anything}),
    st.fixed_dictionaries(
        {}, optional={"to": st.dictionaries(st.sampled_from(_NAMED), anything, max_size=2)}
    ),
    st.dictionaries(st.sampled_from(_FIELDS), anything, max_size=3),
)


# What has a send command's usual fields, if not always what belongs there.
usual = st.fixed_dictionaries(
    {
        "op": st.sampled_from(["send", "join", 1]),
        "to": st.dictionaries(st.sampled_from(_NAMED), names | anything, max_size=2) | anything,
        "message": texts | anything,
    }
)


def written(command: Command) -> dict[str, Any]:
    """A command as PHP would write it."""
    fields: dict[str, Any] = {"to": _written_target(command.to)}
    if command.to.excluded:
        fields["except"] = sorted(command.to.excluded)
    match command:
        case Send(_, message, True):
            return {"op": "send", "data": b64encode(message).decode(), **fields}
        case Send(_, message):
            return {"op": "send", "message": message.decode(), **fields}
        case Join(_, group):
            return {"op": "join", "group": group, **fields}
        case Leave(_, group):
            return {"op": "leave", "group": group, **fields}
        case Bind(_, user):
            return {"op": "bind", "user": user, **fields}
        case Unbind():
            return {"op": "unbind", **fields}
        case SetState(_, state):
            return {"op": "state", "state": state, **fields}
        case Close(_, code, reason):
            return {"op": "close", "code": code, "reason": reason, **fields}
        case Open(to, url, headers, subprotocols, reconnects):
            return {
                **{"op": "open", "name": to.names[0], "url": url, "headers": dict(headers)},
                **{"subprotocols": subprotocols, "reconnect": reconnects},
            }


def _written_target(to: Target) -> dict[str, Any]:
    if to.kind == "all":
        return {"all": True}
    return {to.kind: to.names[0]} if len(to.names) == 1 else {f"{to.kind}s": list(to.names)}


def parsed(*values: Any, has_sender: bool = False) -> list[Command]:
    """What a list of these values is, written as JSON."""
    return parse_commands(json.dumps(values).encode(), has_sender)


class PropertyTests(SynchronousTestCase):
    @given(st.lists(commands, max_size=4), st.booleans(), st.booleans())
    def test_round_trip(
        self, given_commands: list[Command], ensure_ascii: bool, has_sender: bool
    ) -> None:
        text = json.dumps([written(each) for each in given_commands], ensure_ascii=ensure_ascii)
        self.assertEqual(given_commands, parse_commands(text.encode(), has_sender))

    @given(commands)
    def test_one(self, command: Command) -> None:
        """A line has what would be an entry of a list."""
        self.assertEqual(command, parse_command(json.dumps(written(command)).encode(), False))

    @given(st.lists(nearly | anything, max_size=3) | anything, st.booleans())
    def test_whatever_json(self, value: Any, has_sender: bool) -> None:
        """A valid list, or one that is refused with a word on where and why; nothing else."""
        self.assert_understood_or_refused(json.dumps(value).encode(), has_sender)

    @given(usual | st.builds(written, st.builds(Send, targets, texts.map(str.encode))), st.data())
    def test_order_of_fields(self, value: dict[str, Any], data: st.DataObject) -> None:
        """It makes no difference, although the usual one takes a shorter way."""
        in_order = sorted(value, key=["op", "to", "message", "except"].index)
        shuffled = data.draw(st.permutations(in_order))
        has_sender = data.draw(st.booleans())
        first, second = (
            self.meaning({name: value[name] for name in names}, has_sender)
            for names in (in_order, shuffled)
        )
        self.assertEqual(first, second)

    def meaning(self, value: dict[str, Any], has_sender: bool) -> Command | tuple[object, ...]:
        """The command that this is, or what is wrong with it."""
        try:
            return parse_command(json.dumps(value).encode(), has_sender)
        except InvalidCommand as error:
            return error.problem, error.field

    @given(st.binary(), st.booleans())
    def test_whatever_bytes(self, text: bytes, has_sender: bool) -> None:
        self.assert_understood_or_refused(text, has_sender)

    @given(st.lists(commands, min_size=1, max_size=2), st.data())
    def test_cut_or_changed(self, given_commands: list[Command], data: st.DataObject) -> None:
        text = bytearray(json.dumps([written(each) for each in given_commands]).encode())
        position = data.draw(st.integers(0, len(text) - 1))
        text[position : position + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
        self.assert_understood_or_refused(bytes(text), False)

    def assert_understood_or_refused(self, text: bytes, has_sender: bool) -> None:
        try:
            for command in parse_commands(text, has_sender):
                self.assertIsInstance(command, Command)
        except InvalidCommand as error:
            for part in (str(error), error.field or ""):
                self.assertTrue(part.isprintable(), ascii(part))
                self.assertLess(len(part), 400)
            self.assertTrue(error.index is None or error.index < len(json.loads(text)))


class MeaningTests(SynchronousTestCase):
    def test_nothing(self) -> None:
        """No command at all is a valid list."""
        self.assertEqual([], parse_commands(b" [] ", False))

    def test_send(self) -> None:
        [text, binary, empty] = parsed(
            {"op": "send", "to": CLIENT, "message": "你好"},
            {"op": "send", "to": CLIENT, "data": "AP8="},
            {"op": "send", "to": CLIENT, "data": ""},
        )
        self.assertEqual(Send(TO_CLIENT, "你好".encode()), text)
        self.assertEqual(Send(TO_CLIENT, b"\x00\xff", True), binary)
        self.assertEqual(Send(TO_CLIENT, b"", True), empty)

    def test_targets(self) -> None:
        for to, target in (
            ({"client": "a"}, Target("client", ("a",))),
            ({"clients": ["a", "b"]}, Target("client", ("a", "b"))),
            ({"group": "a"}, Target("group", ("a",))),
            ({"groups": ["a"]}, Target("group", ("a",))),
            ({"user": "a"}, Target("user", ("a",))),
            ({"users": []}, Target("user", ())),
            ({"all": True}, Target("all")),
        ):
            for has_sender in (False, True):
                self.assertEqual(
                    [Unbind(target)], parsed({"op": "unbind", "to": to}, has_sender=has_sender)
                )

    def test_except(self) -> None:
        [command] = parsed({"op": "unbind", "to": {"all": True}, "except": ["a", "b", "a"]})
        self.assertEqual(Unbind(Target("all", (), frozenset("ab"))), command)

    def test_sender(self) -> None:
        """In a reply, whose event is being answered; elsewhere there is no such client."""
        [plain, without] = parsed(
            {"op": "unbind"}, {"op": "unbind", "except": ["a"]}, has_sender=True
        )
        self.assertEqual(Unbind(Target("sender")), plain)
        self.assertEqual(Unbind(Target("sender", (), frozenset("a"))), without)
        error = self.assertRaises(InvalidCommand, parsed, {"op": "unbind"})
        self.assertEqual("command 0: to: it is missing", str(error))

    def test_close(self) -> None:
        [usual, own] = parsed(
            {"op": "close", "to": CLIENT},
            {"op": "close", "to": CLIENT, "code": 4001, "reason": "é" * 61 + "x"},
        )
        self.assertEqual(Close(TO_CLIENT, 1000, ""), usual)
        self.assertEqual(Close(TO_CLIENT, 4001, "é" * 61 + "x"), own)

    def test_upstream(self) -> None:
        """A message for an upstream, and its end; nothing else can be for one."""
        to = {"upstream": "prices"}
        [send, close] = parsed({"op": "send", "to": to, "message": "x"}, {"op": "close", "to": to})
        target = Target("upstream", ("prices",))
        self.assertEqual((Send(target, b"x"), Close(target)), (send, close))
        problem = "command 0: to.upstream: only send and close can be for one"
        for wrong in (
            {"op": "join", "to": to, "group": "g"},
            {"op": "state", "to": to, "state": "s"},
        ):
            error = self.assertRaises(InvalidCommand, parsed, wrong)
            self.assertEqual(problem, str(error))

    def test_open(self) -> None:
        target = Target("upstream", ("prices",))
        url = "wss://example.com/"
        [bare, whole, again] = parsed(
            {"op": "open", "name": "prices"},
            {
                **{"op": "open", "name": "prices", "url": url, "reconnect": False},
                **{"headers": {"X-Token": "s3cret"}, "subprotocols": ["mqtt"]},
            },
            {"op": "open", "name": "prices", "headers": [], "subprotocols": None, "url": None},
        )
        self.assertEqual((Open(target), Open(target)), (bare, again))
        self.assertEqual(Open(target, url, (("X-Token", "s3cret"),), ("mqtt",), False), whole)
        self.assertNotIn("s3cret", repr(whole))
        [latest] = parsed({"op": "open", "name": "prices", "keep": "latest", "key": "/a/~1b"})
        self.assertEqual(Open(target, latest_by="/a/~1b"), latest)
        for fields, field in (
            ({}, "name"),
            ({"name": ""}, "name"),
            ({"name": "a b"}, "name"),
            ({"name": "x" * 65}, "name"),
            ({"name": "x", "to": {"upstream": "x"}}, "to"),
            ({"name": "x", "url": 1}, "url"),
            ({"name": "x", "url": "w" * 5000}, "url"),
            ({"name": "x", "headers": "X: y"}, "headers"),
            ({"name": "x", "headers": {"X": ["y"]}}, "headers.X"),
            ({"name": "x", "headers": {"X": "y", "": None}}, "headers."),
            ({"name": "x", "subprotocols": "mqtt"}, "subprotocols"),
            ({"name": "x", "subprotocols": ["a", "a"]}, "subprotocols[1]"),
            ({"name": "x", "subprotocols": ["a b"]}, "subprotocols[0]"),
            ({"name": "x", "subprotocols": [str(n) for n in range(20)]}, "subprotocols"),
            ({"name": "x", "reconnect": 1}, "reconnect"),
            ({"name": "x", "keep": "latest"}, "key"),
            ({"name": "x", "keep": "newest", "key": "/s"}, "keep"),
            ({"name": "x", "key": "/s"}, "keep"),
            ({"name": "x", "keep": "latest", "key": "s"}, "key"),
            ({"name": "x", "keep": "latest", "key": "/~2"}, "key"),
        ):
            error = self.assertRaises(InvalidCommand, parsed, {"op": "open", **fields})
            self.assertEqual(field, error.field)

    def test_longest(self) -> None:
        """In bytes of UTF-8."""
        for op, field, longest in (("join", "group", 1024), ("state", "state", 2048)):
            command = {"op": op, "to": CLIENT}
            self.assertEqual(1, len(parsed({**command, field: "é" * (longest // 2)})))
            longer = {**command, field: "é" * (longest // 2) + "x"}
            error = self.assertRaises(InvalidCommand, parsed, longer)
            self.assertEqual(
                f"command 0: {field}: expected {longest} bytes of UTF-8 at most, got {longest + 1}",
                str(error),
            )

    def test_state_is_free(self) -> None:
        """It may be empty, and have line ends."""
        [empty, lines] = parsed(
            {"op": "state", "to": CLIENT, "state": ""},
            {"op": "state", "to": CLIENT, "state": '{"a":\n1}\x00'},
        )
        self.assertEqual(SetState(TO_CLIENT, ""), empty)
        self.assertEqual(SetState(TO_CLIENT, '{"a":\n1}\x00'), lines)

    def test_most(self) -> None:
        command = {"op": "unbind", "to": CLIENT}
        self.assertEqual(MAX_COMMANDS, len(parsed(*[command] * MAX_COMMANDS)))
        error = self.assertRaises(InvalidCommand, parsed, *[command] * (MAX_COMMANDS + 1))
        self.assertEqual("expected 10000 commands at most, got 10001", str(error))


class OpTests(SynchronousTestCase):
    def test_every_command(self) -> None:
        """Each class has an op by which PHP can give it."""
        self.assertEqual({op.command for op in OPS.values()}, set(get_args(Command)))

    def test_names(self) -> None:
        """Each command is counted under the name that PHP gives it."""
        self.assertEqual({name: name for name in OPS}, {k: v.command.op for k, v in OPS.items()})
        self.assertEqual({*OPS}, {*COMMAND_OPS})


class TextTests(SynchronousTestCase):
    """What is wrong with the text as a whole."""

    def test_whole(self) -> None:
        for text, complaint in (
            (b"", "it is empty; expected a list of commands in JSON"),
            (b" \n", "it is empty; expected a list of commands in JSON"),
            (b"[\n{]", "it is not JSON: Expecting property name enclosed in double quotes "),
            (b"[] []", "it is not JSON: Extra data (line 1, column 4)"),
            (b"['a']", "it is not JSON: Expecting value (line 1, column 2)"),
            (b"[NaN]", "it is not JSON: NaN is no value there"),
            (b'[{"op": [-Infinity]}]', "it is not JSON: -Infinity is no value there"),
            (b'["\x01"]', "it is not JSON: Invalid control character at (line 1, column 3)"),
            (b'["\xff"]', "it is not UTF-8 from byte 2 on"),
            ('["é"]'.encode("utf-16"), "it is not UTF-8 from byte 0 on"),
            (b"\xef\xbb\xbf[]", "it begins with a byte order mark (U+FEFF), which has to go"),
            (b"[" * 100_000, "it is nested too deeply"),
            (b'{"a":' * 100_000, "it is nested too deeply"),
            (b"[%s]" % (b"1" * 10_000), "it has a number with too many digits"),
            (b'{"op": "unbind"}', "expected a list of commands, got an object; put it in [ ]"),
            (b"null", "expected a list of commands, got null"),
            (b"true", "expected a list of commands, got true"),
            (b'"[]"', "expected a list of commands, got a text"),
            (b"1.5", "expected a list of commands, got a number"),
        ):
            error = self.assertRaises(InvalidCommand, parse_commands, text, True)
            self.assertTrue(str(error).startswith(complaint), str(error))
            self.assertEqual((None, None), (error.index, error.field))

    def test_line(self) -> None:
        for text, complaint in (
            (b"", "it is empty; expected a command in JSON"),
            (b"[]", "expected an object, got a list"),
            (b'{"op": "unbind"} {}', "it is not JSON: Extra data (line 1, column 18)"),
            (b'{"op": "ban"}', "op: expected one of send, join, leave, bind, unbind, state, close"),
        ):
            error = self.assertRaises(InvalidCommand, parse_command, text, True)
            self.assertTrue(str(error).startswith(complaint), str(error))
            self.assertIdentical(None, error.index)


class FieldTests(SynchronousTestCase):
    """What is wrong with one command, and where."""

    def assert_wrong(self, command: str, field: str | None, problem: str) -> None:
        """It is, told so, and told which one of the list it is."""
        text = f'[{{"op": "unbind", "to": {{"all": true}}}}, {command}]'
        error = self.assertRaises(InvalidCommand, parse_commands, text.encode(), False)
        which = "" if field is None else f"{field}: "
        self.assertEqual(f"command 1: {which}{problem}", str(error))
        self.assertEqual((1, field, problem), (error.index, error.field, error.problem))

    def test_no_object(self) -> None:
        for value, kind in (("1", "a number"), ("[]", "a list"), ("1.5", "a number")):
            self.assert_wrong(value, None, f"expected an object, got {kind}")

    def test_op(self) -> None:
        expected = "expected one of send, join, leave, bind, unbind, state, close, open; got"
        self.assert_wrong("{}", "op", "it is missing")
        self.assert_wrong('{"op": "Send"}', "op", f"{expected} Send")
        self.assert_wrong('{"op": []}', "op", f"{expected} a list")
        self.assert_wrong('{"op": {}}', "op", f"{expected} an object")
        self.assert_wrong('{"op": null}', "op", f"{expected} null")
        self.assert_wrong(r'{"op": "\ud800\n"}', "op", rf"{expected} \ud800\n")

    def test_unknown_field(self) -> None:
        self.assert_wrong(
            '{"op": "send", "to": {"all": true}, "msg": "x"}',
            "msg",
            "send has no such field; it has op, to, except, message, data, history",
        )
        self.assert_wrong(
            r'{"op": "unbind", "to": {"all": true}, "\u0000\ud800%s": 1}' % ("x" * 1000),
            r"\x00\ud800" + "x" * 48,
            "unbind has no such field; it has op, to, except",
        )

    def test_field_twice(self) -> None:
        """Where another reader of JSON might take the other one."""
        self.assert_wrong(
            '{"op": "unbind", "to": {"client": "a"}, "to": {"client": "b"}}',
            "to",
            "it is there twice",
        )

    def test_to(self) -> None:
        one_of = "expected exactly one of client, clients, group, groups, user, users, all"
        for to, field, problem in (
            ('"a"', "to", f"expected an object, not a text; {one_of}"),
            ("null", "to", f"expected an object, not null; {one_of}"),
            ("{}", "to", one_of),
            ('{"client": "a", "group": "b"}', "to", one_of),
            ('{"client": "a", "client": "b"}', "to", one_of),
            ('{"clint": "a"}', "to.clint", f"there is no such field; {one_of}"),
            (r'{"\n": "a"}', r"to.\n", f"there is no such field; {one_of}"),
            ('{"all": 2}', "to.all", "expected true, got a number"),
            ('{"all": false}', "to.all", "expected true, got false"),
            ('{"all": null}', "to.all", "expected true, got null"),
            ('{"client": 1.5}', "to.client", f"expected a text, got a number{STRING}"),
            ('{"client": true}', "to.client", f"expected a text, got true{STRING}"),
            ('{"client": ["a"]}', "to.client", "expected a text, got a list"),
            ('{"users": true}', "to.users", "expected a list, got true"),
            ('{"users": null}', "to.users", "expected a list, got null"),
            ('{"users": ["a", true]}', "to.users[1]", f"expected a text, got true{STRING}"),
            ('{"users": ["a", []]}', "to.users[1]", "expected a text, got a list"),
            (
                '{"clients": {"x": "a"}}',
                "to.clients",
                "expected a list, got an object (PHP's array_values() makes a list)",
            ),
        ):
            self.assert_wrong(f'{{"op": "unbind", "to": {to}}}', field, problem)

    def test_except(self) -> None:
        for value, field, problem in (
            ("true", "except", "expected a list, got true"),
            ('["a", true]', "except[1]", f"expected a text, got true{STRING}"),
            ('["a", {}]', "except[1]", "expected a text, got an object"),
        ):
            self.assert_wrong(
                f'{{"op": "unbind", "to": {{"all": true}}, "except": {value}}}', field, problem
            )

    def test_others(self) -> None:
        surrogate = "character 0 is half of a surrogate pair, which UTF-8 does not have"
        codes = "expected one of 1000-1003, 1007-1014, 3000-4999"
        for op, fields, field, problem in (
            ("send", "", "message", "it is missing"),
            ("send", '"message": null', "message", f"expected a text, got null{STRING}"),
            ("send", '"message": false', "message", f"expected a text, got false{STRING}"),
            ("send", r'"message": "\udc00"', "message", surrogate),
            ("send", '"message": "", "data": ""', "data", "expected either this or message"),
            ("send", '"data": 1', "data", "expected a text, got a number"),
            ("join", "", "group", "it is missing"),
            ("join", '"group": null', "group", f"expected a text, got null{STRING}"),
            ("join", r'"group": "a\u0000"', "group", r"it has a control character, '\x00'"),
            ("join", r'"group": "a\u0085"', "group", r"it has a control character, '\x85'"),
            ("leave", '"group": ""', "group", "it is empty"),
            ("bind", '"user": []', "user", "expected a text, got a list"),
            ("bind", '"user": 1e30', "user", f"expected a text, got a number{STRING}"),
            (
                "bind",
                r'"user": "ab\ud83d"',
                "user",
                "character 2 is half of a surrogate pair, which UTF-8 does not have",
            ),
            ("state", '"state": null', "state", f"expected a text, got null{STRING}"),
            ("state", r'"state": "\ud800"', "state", surrogate),
            ("close", '"code": 1005', "code", codes),
            ("close", '"code": "1005"', "code", codes),
            ("close", '"code": "1000 "', "code", codes),
            ("close", '"code": true', "code", codes),
            ("close", '"code": 1e999', "code", codes),
            ("close", '"reason": []', "reason", "expected a text, got a list"),
            ("close", '"reason": true', "reason", f"expected a text, got true{STRING}"),
        ):
            separator = ", " if fields else ""
            self.assert_wrong(
                f'{{"op": "{op}", "to": {{"all": true}}{separator}{fields}}}', field, problem
            )

    def test_base64(self) -> None:
        """Nothing is guessed at: not where it is cut off, and no other alphabet."""
        for data in ("YQ", "YQ=", "Y", "=", "YQ==\n", "YQ==YQ==", "Y Q==", "-_-_", "é", "\ud800"):
            error = self.assertRaises(
                InvalidCommand, parsed, {"op": "send", "to": CLIENT, "data": data}
            )
            self.assertEqual((0, "data"), (error.index, error.field))


class CheckTests(SynchronousTestCase):
    def test_codes(self) -> None:
        """What a close frame may have, and nothing that only an endpoint says of itself."""
        allowed = {*range(1000, 1004), *range(1007, 1015), *range(3000, 5000)}
        for code in range(6000):
            if code in allowed:
                self.assertEqual(code, close_code(code))
            else:
                self.assertRaises(InvalidCommand, close_code, code)
        self.assertEqual("1000", repr(close_code(1000.0)))
        self.assertEqual(4001, close_code("4001"))
        for wrong in (None, "1e3", "١٠٠٠", True, 1000.5, float("inf"), float("nan"), 10**400):
            self.assertRaises(InvalidCommand, close_code, wrong)

    def test_reason(self) -> None:
        self.assertEqual("", close_reason(""))
        self.assertEqual("5", close_reason(5))

    def test_long_reason(self) -> None:
        """It is cut where a character ends: to close matters more."""
        for text, kept in (
            ("x" * 124, "x" * 123),
            ("é" * 62, "é" * 61),
            ("x" + "€" * 41, "x" + "€" * 40),
            ("😀" * 31, "😀" * 30),
            ("e" + "\u0301" * 100, "e" + "\u0301" * 61),
        ):
            self.assertEqual(kept, close_reason(text))

    def test_lines_of_a_reason(self) -> None:
        self.assertEqual("a  b c d", close_reason("a\r\nb\x00c\x85d"))
