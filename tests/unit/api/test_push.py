"""What a form asks for that is a push."""

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from phpgw.api.forms import InvalidForm
from phpgw.api.send import read_push
from phpgw.hub.commands import Send, Target


class PushTests(SynchronousTestCase):
    def test_targets(self) -> None:
        for field, value, target in (
            ("client_id", b"[::1]:51110", Target("client", ("[::1]:51110",))),
            ("client_id", b"", Target("client", ("",))),
            ("group", "房间".encode(), Target("group", ("房间",))),
            ("user", b"42", Target("user", ("42",))),
            ("all", b"1", Target("all")),
        ):
            push = read_push({"message": b"hello", field: value, "type": b"server"})
            self.assertEqual(Send(target, b"hello"), push)

    def test_what_is_wrong(self) -> None:
        form = "send message and client_id as a form"
        for fields, complaint in (
            ({}, f"the field message is missing; {form}"),
            ({"client_id": b"a"}, f"the field message is missing; {form}"),
            (
                {"message": b"x"},
                f"the field client_id is missing (or group, user, all=1, upstream); {form}",
            ),
            (
                {"message": b"x", "all": b"1", "client_id": b"a"},
                "client_id and all exclude each other; send one of them",
            ),
            (
                {"message": b"x", "group": b"a", "user": b"b", "all": b"1"},
                "group and user and all exclude each other; send one of them",
            ),
            ({"message": b"x", "all": b"yes"}, "all has one value, all=1"),
            ({"message": b"x", "all": b""}, "all has one value, all=1"),
            ({"message": b"\xff", "all": b"1"}, "the form's text is not UTF-8"),
            ({"message": b"x", "group": b"\xff"}, "the form's text is not UTF-8"),
        ):
            error = self.assertRaises(InvalidForm, read_push, fields)
            self.assertEqual(complaint, str(error))

    @given(
        st.dictionaries(
            st.sampled_from(["message", "client_id", "group", "user", "all", "type"]),
            st.binary(max_size=5) | st.just(b"1"),
        )
    )
    def test_whatever_comes(self, fields: dict[str, bytes]) -> None:
        """A message that browsers will take, or a complaint."""
        try:
            push = read_push(fields)
        except InvalidForm:
            return
        self.assertEqual(fields["message"], push.message)
        push.message.decode()
        self.assertFalse(push.is_binary)
