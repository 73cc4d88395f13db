"""Signatures, by which PHP recognizes the gateway."""

import hmac
from collections.abc import Callable

# Names of headers.
TIMESTAMP = b"Phpgw-Timestamp"
SIGNATURE = b"Phpgw-Signature"


class Signer:
    """Signs events.

    :param secret: the secret that the gateway and PHP share.
    :param seconds: returns the time, in seconds since the epoch.
    """

    def __init__(self, secret: bytes, seconds: Callable[[], float]) -> None:
        self._secret = secret
        self._seconds = seconds

    def sign(self, body: bytes) -> tuple[bytes, bytes]:
        """Sign a request's body with the current time.

        :returns: the value of :data:`TIMESTAMP`, in whole seconds, and of :data:`SIGNATURE`:
            ``sha256=`` and the HMAC (RFC 2104) of timestamp, dot and body, in hexadecimal digits.
        """
        timestamp = b"%d" % self._seconds()
        digest = hmac.digest(self._secret, timestamp + b"." + body, "sha256")
        return timestamp, b"sha256=" + digest.hex().encode()
