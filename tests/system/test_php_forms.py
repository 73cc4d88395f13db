"""Tests for :mod:`phpgw.backend.form`: what PHP itself makes of a form."""

from base64 import b64decode, b64encode
from pathlib import Path
from random import Random

from twisted.trial.unittest import TestCase

from phpgw.backend.event import Event
from phpgw.backend.form import encode_form, identity_fields
from tests.support.fakes import identity
from tests.support.real.php import php


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
