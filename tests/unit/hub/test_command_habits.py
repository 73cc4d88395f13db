"""What PHP sends by habit: taken where it has one meaning, however long the list is."""

import json
from functools import partial
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from phpgw.hub.command_json import entries, place
from phpgw.hub.command_parser import (
    MAX_COMMANDS,
    parse_command,
    parse_commands,
    parse_in_steps,
)
from phpgw.hub.commands import (
    Bind,
    Close,
    Command,
    InvalidCommand,
    Join,
    Send,
    SetState,
    Target,
)
from phpgw.time_slices import run_to_completion
from tests.unit.hub.test_command_parser import anything, commands, nearly, parsed, written
from tests.unit.test_linear import LinearTestCase, shape

EVERYBODY = {"all": True}
ALL = Target("all")


def read(command: str) -> Command:
    """What this one is, as a line and in a list, be that read at once or slowly."""
    text = f"[{command}]".encode()
    [first] = parse_commands(text, has_sender=True)
    [second] = run_to_completion(parse_in_steps(text, has_sender=True))
    third = parse_command(command.encode(), has_sender=True)
    assert first == second == third, (first, second, third)
    return first


def target(to: Any, **more: Any) -> Target:
    """Whom a command with this is for."""
    return read(json.dumps({"op": "unbind", "to": to, **more})).to


class NameTests(SynchronousTestCase):
    """Ids, groups and users are numbers as often as texts."""

    def test_numbers(self) -> None:
        for number, text in ((5, "5"), (0, "0"), (-7, "-7"), (42.0, "42"), (2**60, str(2**60))):
            self.assertEqual(target({"client": number}), Target("client", (text,)))
            self.assertEqual(target({"groups": [number, "x"]}), Target("group", (text, "x")))
            self.assertEqual(target(EVERYBODY, **{"except": [number]}).excluded, {text})
            self.assertEqual(
                read(json.dumps({"op": "bind", "user": number})), Bind(Target("sender"), text)
            )
            self.assertEqual(
                read(json.dumps({"op": "join", "group": number})), Join(Target("sender"), text)
            )

    def test_gaps_in_a_list(self) -> None:
        """What array_filter() leaves of a list, json_encode() makes an object of."""
        for value in ({"0": "a", "2": "b"}, {"7": "a", "3": "b"}, ["a", "b"]):
            self.assertEqual(target({"clients": value}), Target("client", ("a", "b")))
            self.assertEqual(target(EVERYBODY, **{"except": value}).excluded, {"a", "b"})

    def test_no_gaps_but_names(self) -> None:
        for value in (
            "{}",
            '{"a": "x"}',
            '{"0": "a", "x": "b"}',
            '{"01": "a"}',
            '{"0": "a", "0": "b"}',
        ):
            text = f'{{"op": "unbind", "to": {{"clients": {value}}}}}'
            error = self.assertRaises(InvalidCommand, parse_command, text.encode(), True)
            self.assertIn("array_values()", error.problem)

    def test_gaps_in_the_list_of_commands(self) -> None:
        command = '{"op": "unbind"}'
        for text in (f'{{"1": {command}, "4": {command}}}', f'{{ "0":{command},"1":{command} }}'):
            self.assertEqual(len(parse_commands(text.encode(), True)), 2)
            self.assertEqual(len(run_to_completion(parse_in_steps(text.encode(), True))), 2)

    def test_one_in_place_of_a_list(self) -> None:
        self.assertEqual(target({"clients": "a"}), Target("client", ("a",)))
        self.assertEqual(target(EVERYBODY, **{"except": "a"}).excluded, {"a"})
        self.assertEqual(target(EVERYBODY, **{"except": 5}).excluded, {"5"})

    def test_nobody_s_names(self) -> None:
        """They cost only what they stand for, and it is said so."""
        for value, problem in (
            (None, "null is nobody's name"),
            (False, "false is nobody's name"),
            ("", "it is empty"),
            ("x" * 1025, "expected 1024 bytes of UTF-8 at most, got 1025"),
            ("a\n", r"it has a control character, '\n'"),
            ("\ud800", "character 0 is half of a surrogate pair, which UTF-8 does not have"),
        ):
            self.assertEqual(
                target({"client": value}), Target("client", (), problem=f"to.client: {problem}")
            )
            self.assertEqual(
                target({"clients": ["a", value, "b", value]}),
                Target("client", ("a", "b"), problem=f"to.clients[1]: {problem}"),
            )
            self.assertEqual(
                target(EVERYBODY, **{"except": [value, "a"]}), Target("all", (), frozenset("a"))
            )

    def test_no_value(self) -> None:
        """What is null is not there, where something else is."""
        self.assertEqual(target(EVERYBODY, **{"except": None}), ALL)
        self.assertEqual(target({"client": None, "group": "a"}), Target("group", ("a",)))
        self.assertEqual(
            read('{"op": "close", "code": null, "reason": null}'), Close(Target("sender"))
        )

    def test_all(self) -> None:
        for value in (True, 1, "1"):
            self.assertEqual(target({"all": value}), ALL)

    @given(st.lists(st.one_of(st.text(max_size=5), st.integers(), st.none()), max_size=5))
    def test_short_way_for_many(self, values: list[Any]) -> None:
        """Names looked at together are the same as one by one."""
        together = target({"groups": values}).names
        one_by_one = [target({"group": value}).names for value in values]
        self.assertEqual(together, tuple(name for names in one_by_one for name in names))


class TextTests(SynchronousTestCase):
    """A message and a state may be an array: its JSON, as PHP wrote it."""

    def test_as_it_was_written(self) -> None:
        for value in (
            '{"a":1}',
            '{ "url": "http:\\/\\/x\\/", "b" : [1, 2.50, -0.0, 1e2],\n"a":"\\u00e9é"}',
            "[]",
            "{}",
            '[{"op": "send", "message": "]}"}, "\\"", [[[]]]]',
            '{"a":1,"a":2}',
            "1.50",
        ):
            for text in (
                f'{{"op": "send", "message": {value}}}',
                f'\n{{"message"\t:\r{value} , "op":"send"}}\n',
                f'{{"op": "send", "to": {{"all": true}}, "message": {value}}}',
                f'{{"op": "send", "except": ["message", "]"], "message": {value}}}',
            ):
                command = read(text)
                assert isinstance(command, Send)
                self.assertEqual(command.message, value.encode())
            self.assertEqual(
                read(f'{{"op": "state", "state": {value}}}'), SetState(Target("sender"), value)
            )

    def test_whole_numbers(self) -> None:
        self.assertEqual(
            read('{"op": "send", "message": 42}'), Send(Target("sender"), b"42", False)
        )

    def test_among_others(self) -> None:
        """In a list, each has its own."""
        values: list[Any] = [{"n": n, "x": ["y"] * n} for n in range(20)]
        sends = parsed(
            *({"op": "send", "to": EVERYBODY, "message": each} for each in ["text", *values, "é"])
        )
        messages = [each.message for each in sends if isinstance(each, Send)]
        self.assertEqual(messages[0], b"text")
        self.assertEqual(list(map(json.loads, messages[1:-1])), values)
        self.assertEqual(messages[-1], "é".encode())

    def test_which_one_is_wrong(self) -> None:
        error = self.assertRaises(
            InvalidCommand,
            parsed,
            {"op": "send", "to": EVERYBODY, "message": {}},
            {"op": "send", "to": EVERYBODY, "message": None},
        )
        self.assertEqual((error.index, error.field), (1, "message"))

    def test_long_state(self) -> None:
        error = self.assertRaises(
            InvalidCommand, read, json.dumps({"op": "state", "state": ["x" * 2045]})
        )
        self.assertIn("expected 2048 bytes", error.problem)

    @given(st.lists(anything, min_size=1, max_size=4), st.sampled_from([None, 1]))
    def test_place_of_each(self, values: list[Any], indent: int | None) -> None:
        text = json.dumps(values, indent=indent)
        for value, (entry, where) in zip(values, entries(text), strict=True):
            self.assertEqual(where.text, text)
            decoded = json.JSONDecoder().raw_decode(text, where.start)[0]
            self.assertEqual(repr(decoded), repr(value))
            self.assertEqual(type(entry) is tuple, type(value) is dict)

    @given(st.dictionaries(st.text(max_size=3), anything, min_size=1, max_size=4))
    def test_place_of_fields(self, fields: dict[str, Any]) -> None:
        where = place("\n" + json.dumps(fields) + " ")
        for name, value in fields.items():
            self.assertEqual(repr(json.loads(where.written(name))), repr(value))


class SlowlyTests(SynchronousTestCase):
    """A long list is read command by command, by the same rules."""

    @given(st.lists(nearly | anything | st.builds(written, commands), max_size=4) | anything)
    def test_the_same(self, value: Any) -> None:
        self.assert_same(json.dumps(value).encode())

    @given(st.lists(commands, min_size=1, max_size=2), st.data())
    def test_cut_or_changed(self, given_commands: list[Command], data: st.DataObject) -> None:
        text = bytearray(json.dumps([written(each) for each in given_commands]).encode())
        position = data.draw(st.integers(0, len(text) - 1))
        text[position : position + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
        self.assert_same(bytes(text))

    @given(st.binary(max_size=20))
    def test_whatever_bytes(self, text: bytes) -> None:
        self.assert_same(text)

    def test_ends(self) -> None:
        for text in (b"", b" ", b"[", b"[] x", b"[1,]", b'{"0":1', b"[1 2]", b"{0:1}", b'{"0" 1}'):
            self.assert_same(text)

    def assert_same(self, text: bytes) -> None:
        """Both take it, or neither; where the text makes sense, for the same reason."""
        first, second = self.outcome(parse_commands, text), self.outcome(_slowly, text)
        if isinstance(first, InvalidCommand):
            assert isinstance(second, InvalidCommand), second
            if first.index is not None or second.index is None:
                self.assertEqual(str(first), str(second))
        else:
            self.assertEqual(first, second)

    def outcome(self, parse: Any, text: bytes) -> list[Command] | InvalidCommand:
        try:
            result: list[Command] = parse(text, True)
        except InvalidCommand as error:
            return error
        return result

    def test_too_many(self) -> None:
        text = b"[%b]" % b",".join([b'{"op":"unbind"}'] * (MAX_COMMANDS + 1))
        error = self.assertRaises(InvalidCommand, _slowly, text, True)
        self.assertEqual(str(error), "expected 10000 commands at most, got 10001")

    def test_long_names(self) -> None:
        """They take steps of their own, and are the same."""
        names = [*map(str, range(20_000)), None, 5, "", *map(str, range(9))]
        values: tuple[dict[str, Any], ...] = (
            {"op": "unbind", "to": {"clients": names}},
            {"op": "unbind", "to": EVERYBODY, "except": names},
            {"op": "unbind", "to": {"groups": [*names, True]}},
            {"op": "unbind", "to": EVERYBODY, "except": [*names, []]},
            {"op": "unbind", "to": {"users": {"0": "x" * 20_000}}},
            {"op": "unbind", "to": {"client": names}},
        )
        for value in values:
            text = json.dumps([value]).encode()
            self.assert_same(text)
            if value in values[:2]:
                self.assertGreater(sum(1 for _ in parse_in_steps(text, True)), 30)

    def test_a_step_each(self) -> None:
        steps = parse_in_steps(b"[%b]" % b",".join([b'{"op":"unbind"}'] * 500), True)
        self.assertEqual(sum(1 for _ in steps), 500)


def _slowly(text: bytes, has_sender: bool) -> list[Command]:
    return run_to_completion(parse_in_steps(text, has_sender))


class LinearTests(LinearTestCase):
    def test_lists(self) -> None:
        """Also where each part is another one, as fields that are there once but for the last."""

        def fields(size: int) -> bytes:
            names = [b'"k%d":1' % n for n in range(max(1, size // 10))]
            return b"[{%b,%b}]" % (b",".join(names), names[-1])

        def keys(size: int) -> bytes:
            return b"{%b}" % b",".join(b'"%d":1' % n for n in range(max(1, size // 10)))

        def names(size: int) -> bytes:
            ids = b",".join(b'"%d"' % n for n in range(max(1, size // 8)))
            return b'[{"op":"unbind","to":{"clients":[%b]},"except":[%b]}]' % (ids, ids)

        send = b'{"op":"send","message":'
        shapes = (
            *(fields, keys, names),
            *(shape(each, head=b"[") for each in (b"[", b"{", b'{"a":', b"1,", b"1", b"1e", b" ")),
            *(shape(each, head=b"[", tail=b"]") for each in (b"[],", b"{},", b"9", b'"",')),
            shape(b"[", head=b"[" + send),
            shape(b"[],", head=b"[" + send + b"[", tail=b"[]]}]"),
            shape(send + b"[]},", head=b"[", tail=send + b"[]}]"),
            shape(b'"a":[],', head=b'[{"op":"send",', tail=b'"message":[]}]'),
            *(shape(each, head=b'["', tail=b'"]') for each in (b"\\", b"\\u0000", b"\\ud8", b'"')),
            *(shape(each) for each in (b"\n", b" ", b"\xff", b"\xc3\xa9", b"\xef\xbb\xbf")),
        )
        for parse in (parse_commands, _slowly, parse_command):
            self.assert_linear(partial(parse, has_sender=True), *shapes)
