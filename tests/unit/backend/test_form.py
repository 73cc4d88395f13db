"""What PHP finds in $_POST."""

import re
from urllib.parse import parse_qsl

from hypothesis import example, given, settings
from hypothesis.strategies import binary, text
from twisted.trial.unittest import SynchronousTestCase

from phpgw.backend.event import Event
from phpgw.backend.form import encode_form, identity_fields
from tests.support.fakes import identity


def form(
    message: bytes,
    type_: str = "server",
    client_id: str = "127.0.0.1:51110",
    code: int | None = None,
    **bound: str,
) -> bytes:
    who = identity(client_id, **bound)
    return encode_form(Event(type_, message, who, code=code), identity_fields(who))


def fields(body: bytes) -> list[tuple[bytes, bytes]]:
    """A form's fields by a parser that is not ours; Latin-1 has a character for every byte."""
    pairs = parse_qsl(
        body.decode("ascii"), keep_blank_values=True, strict_parsing=True, encoding="latin-1"
    )
    return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in pairs]


class FormTests(SynchronousTestCase):
    def test_fields(self) -> None:
        self.assertEqual(
            [(b"type", b"server"), (b"message", b"hello"), (b"client_id", b"127.0.0.1:51110")],
            fields(form(b"hello")),
        )

    def test_what_php_has_bound(self) -> None:
        self.assertEqual(
            [(b"user", "Zoë".encode()), (b"state", b"a=1&b=2")],
            fields(form(b"hello", user="Zoë", state="a=1&b=2"))[3:],
        )
        self.assertEqual([(b"state", b"")], fields(form(b"hello", state=""))[3:])

    def test_disconnect(self) -> None:
        self.assertEqual(
            [
                (b"type", b"disconnect"),
                (b"message", b"bye"),
                (b"client_id", b"127.0.0.1:51110"),
                (b"code", b"1001"),
                (b"user", b"42"),
            ],
            fields(form(b"bye", "disconnect", code=1001, user="42")),
        )

    def test_event_without_a_client(self) -> None:
        self.assertEqual(
            [(b"type", b"timer"), (b"message", b"cleanup"), (b"client_id", b"")],
            fields(form(b"cleanup", "timer", "")),
        )

    def test_readable(self) -> None:
        """Whoever looks at the traffic can read a short message's letters."""
        self.assertIn(b"&message=Hello-World_1.0~&", form(b"Hello-World_1.0~"))

    def test_empty_message(self) -> None:
        self.assertEqual((b"message", b""), fields(form(b""))[1])

    @given(binary())
    @example(b"a&client_id=b;c=d")
    @example(b"100% + 1 = ?\r\n\x00\xff")
    @example("你好 🙂".encode())
    @example(bytes(range(256)))
    @settings(deadline=None)
    def test_any_bytes(self, message: bytes) -> None:
        """A message arrives as its very bytes, and nothing in it becomes another field."""
        self.assertEqual(
            [(b"type", b"server"), (b"message", message), (b"client_id", b"127.0.0.1:51110")],
            fields(form(message)),
        )

    @given(binary(min_size=1, max_size=64))
    @settings(deadline=None, max_examples=25)
    def test_long_messages(self, part: bytes) -> None:
        """Above and below the length from which on another way of encoding is taken."""
        for length in (16384, 16385, 100_000):
            message = (part * (length // len(part) + 1))[:length]
            self.assertEqual((b"message", message), fields(form(message))[1])

    @given(text(), text(), text(), text())
    @settings(deadline=None)
    def test_any_text(self, type_: str, client_id: str, user: str, state: str) -> None:
        """The other fields arrive in UTF-8."""
        self.assertEqual(
            [
                (b"type", type_.encode()),
                (b"message", b"m"),
                (b"client_id", client_id.encode()),
                (b"user", user.encode()),
                (b"state", state.encode()),
            ],
            fields(form(b"m", type_, client_id, user=user, state=state)),
        )

    @given(binary())
    @settings(deadline=None)
    def test_alphabet(self, message: bytes) -> None:
        """No byte that any parser could take for something else: RFC 3986, section 2.3."""
        body = form(message, "a b+c;d", "é", 1000, user="&=", state="%")
        self.assertTrue(re.fullmatch(rb"(?:[A-Za-z0-9._~=&-]|%[0-9A-Fa-f]{2})+", body))
