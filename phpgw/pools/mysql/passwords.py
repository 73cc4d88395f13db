"""Proofs that one knows a password, for the two ways of login that MySQL and MariaDB use."""

from hashlib import sha1, sha256
from itertools import cycle

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, OAEP
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey


def native_proof(password: bytes, nonce: bytes) -> bytes:
    """Return the proof for ``mysql_native_password``."""
    if not password:
        return b""
    once = sha1(password).digest()
    return _xor(once, sha1(nonce + sha1(once).digest()).digest())


def caching_sha2_proof(password: bytes, nonce: bytes) -> bytes:
    """Return the short proof for ``caching_sha2_password``.

    It is enough if the server has the password in its cache.
    """
    if not password:
        return b""
    once = sha256(password).digest()
    return _xor(once, sha256(sha256(once).digest() + nonce).digest())


def encrypt_password(password: bytes, nonce: bytes, key: RSAPublicKey) -> bytes:
    """Return the password for ``caching_sha2_password`` so that only the server can read it.

    :param key: the server's own, known beforehand: one that the network brings proves nothing.
    """
    masked = _xor(password + b"\0", nonce)
    return key.encrypt(masked, OAEP(MGF1(hashes.SHA1()), hashes.SHA1(), None))


def _xor(data: bytes, mask: bytes) -> bytes:
    """Combine the data with the mask, again and again from its begin."""
    return bytes(a ^ b for a, b in zip(data, cycle(mask), strict=False))
