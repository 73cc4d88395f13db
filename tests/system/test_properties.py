"""Whatever comes: properties of parsers that hold for all input; more are beside other tests."""

from base64 import b64decode, b64encode
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from random import Random

from hypothesis import example, given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase, TestCase

from phpgw.backend.event import Event
from phpgw.backend.form import encode_form, identity_fields
from phpgw.hub.commands import Command
from phpgw.process.tls import split_tls_endpoint
from phpgw.relay.errors import UnusableReply
from phpgw.relay.ndjson import Stream
from phpgw.relay.php_errors import find_php_error
from tests.support.fakes import fake_client, identity
from tests.support.real.php import php


class StreamTests(SynchronousTestCase):
    @given(
        st.lists(
            st.one_of(
                st.sampled_from(
                    [b'{"op": "send", "message": "a"}', b"\n", b"\r\n", b" ", b"{}", b"<br />"]
                ),
                st.binary(max_size=5),
            ),
            max_size=8,
        ).map(b"".join),
        st.lists(st.integers(0, 100), max_size=4),
    )
    def test_in_any_pieces(self, data: bytes, cuts: list[int]) -> None:
        """It does not matter how PHP's flushes reach the gateway, also for what makes no sense."""
        edges = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
        pieces = [data[start:end] for start, end in pairwise(edges)]
        self.assertEqual(self.read([data]), self.read(pieces))

    def read(self, pieces: Sequence[bytes]) -> tuple[list[Command], str | None]:
        ran: list[Command] = []
        client, _ = fake_client()
        stream = Stream(ran.extend, client, 60)
        try:
            for piece in pieces:
                stream.receive(piece)
            stream.finish()
        except UnusableReply as error:
            return ran, str(error)
        return ran, None


class OtherTests(SynchronousTestCase):
    @given(
        st.text(st.sampled_from("sl:\\=/privateKytchn.pm803 "), max_size=60), st.text(max_size=20)
    )
    @example("ssl:8443:privateKey=a\\:b.pem", "")
    @example("ssl:" + "\\" * 1000, "")
    def test_endpoints(self, text: str, more: str) -> None:
        """Either it is not TLS, and left as it is, or there is a key."""
        try:
            below, files = split_tls_endpoint(f"ssl:{text}{more}" if more else text)
        except ValueError:
            return
        if files is None:
            self.assertEqual(text, below)

    @given(st.binary())
    @example(b"<br />\n<b>Fatal error</b>:  " * 1000)
    @settings(deadline=1000)
    def test_mishaps(self, body: bytes) -> None:
        """Looking for PHP's errors is quick, and finds them only where there is one."""
        mishap = find_php_error(body)
        if mishap is not None:
            self.assertTrue(mishap.line)


class PhpFormTests(TestCase):
    async def test_what_php_makes_of_it(self) -> None:
        """PHP's own parser of forms finds the very bytes, and no other field."""
        random = Random(1)
        messages = [bytes([byte]) for byte in range(256)]
        messages += [random.randbytes(random.randrange(200)) for _ in range(300)]
        messages += [
            random.randbytes(40_000),
            b"a&type=x;client_id=y",
            b"%00+%2B",
            b"[a]=1&a[]=2",
            b"",
        ]
        forms = []
        for message in messages:
            who = identity("127.0.0.1:1", user="a&b=c", state="\U0001f600[]")
            forms.append(encode_form(Event("server", message, who), identity_fields(who)))
        path = self.mktemp()
        Path(path).write_bytes(b"\n".join(map(b64encode, forms)))
        printed = await php(
            """
            foreach (file($argv[1]) as $line) {
                parse_str(base64_decode($line), $form);
                echo count($form), " ", $form["type"], " ", $form["client_id"], " ",
                    base64_encode($form["user"] . $form["state"]), " ",
                    base64_encode($form["message"]), "\\n";
            }
            """,
            path,
        )
        bound = b64encode("a&b=c\U0001f600[]".encode()).decode()
        for message, line in zip(messages, printed.splitlines(), strict=True):
            self.assertEqual(["5", "server", "127.0.0.1:1", bound], line.split(" ")[:4])
            self.assertEqual(message, b64decode(line.split(" ")[4]))
