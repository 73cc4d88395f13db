"""Tests for :mod:`phpgw.backend.signature`."""

import hashlib
import hmac

from hypothesis import given
from hypothesis.strategies import binary, floats
from twisted.trial.unittest import SynchronousTestCase

from phpgw.backend.signature import Signer


class SignerTests(SynchronousTestCase):
    def test_known_answer(self) -> None:
        """As computed by: printf 1700000000.type=server | openssl dgst -sha256 -hmac secret"""
        self.assertEqual(
            (
                b"1700000000",
                b"sha256=d32bff679df59d39071af3b37f351bf9c54f78b62cc138843772a9836dabb40b",
            ),
            Signer(b"secret", lambda: 1700000000).sign(b"type=server"),
        )

    @given(binary(min_size=1), binary(), floats(0, 2**40))
    def test_any(self, secret: bytes, body: bytes, now: float) -> None:
        """Whole seconds, and the very bytes of body and secret."""
        timestamp, signature = Signer(secret, lambda: now).sign(body)
        self.assertEqual(str(int(now)).encode(), timestamp)
        expected = hmac.new(secret, timestamp + b"." + body, hashlib.sha256).hexdigest()
        self.assertEqual(b"sha256=" + expected.encode(), signature)
