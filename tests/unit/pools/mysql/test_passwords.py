"""Proofs of passwords, checked as a server checks them."""

from hashlib import sha1, sha256

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, OAEP
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from twisted.trial.unittest import SynchronousTestCase

from phpgw.pools.mysql.passwords import caching_sha2_proof, encrypt_password, native_proof

_NONCE = b"tS~F}fhVW36T'b;@m(xI"


def _xor(a: bytes, b: bytes) -> bytes:
    return bytes(x ^ y for x, y in zip(a, b, strict=True))


class PasswordTests(SynchronousTestCase):
    def test_native(self) -> None:
        """The server knows SHA1(SHA1(password)), and finds SHA1(password) in the proof."""
        known = sha1(sha1(b"secret").digest()).digest()
        proof = native_proof(b"secret", _NONCE)
        found = _xor(proof, sha1(_NONCE + known).digest())
        self.assertEqual(known, sha1(found).digest())

    def test_caching_sha2(self) -> None:
        known = sha256(sha256(b"secret").digest()).digest()
        proof = caching_sha2_proof(b"secret", _NONCE)
        found = _xor(proof, sha256(known + _NONCE).digest())
        self.assertEqual(known, sha256(found).digest())

    def test_as_servers_accept_it(self) -> None:
        """A proof that MariaDB has accepted for the password ``geheim``."""
        self.assertEqual(
            b"\x8a\xf1Z:\x19\xeb\xf6\x11\x99\xe8\xf0$A\xaf\x1fD]\xfcH\xfc",
            native_proof(b"geheim", _NONCE),
        )

    def test_no_password(self) -> None:
        self.assertEqual(b"", native_proof(b"", _NONCE))
        self.assertEqual(b"", caching_sha2_proof(b"", _NONCE))

    def test_encrypted(self) -> None:
        """Only who has the key reads the password, which is never sent twice in the same form."""
        key = generate_private_key(65537, 2048)
        padding = OAEP(MGF1(hashes.SHA1()), hashes.SHA1(), None)
        password = b"a password that is longer than the nonce"
        first = encrypt_password(password, _NONCE, key.public_key())
        masked = key.decrypt(first, padding)
        mask = (_NONCE * 3)[: len(masked)]
        self.assertEqual(password + b"\0", _xor(masked, mask))
        self.assertNotEqual(first, encrypt_password(password, _NONCE, key.public_key()))
