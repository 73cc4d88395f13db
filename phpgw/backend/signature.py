"""Signatures, by which PHP can tell that it is the gateway who asks."""

import hmac
from collections.abc import Callable

# The headers' names.
TIMESTAMP = b"Phpgw-Timestamp"
SIGNATURE = b"Phpgw-Signature"


class Signer:
    """Signs what PHP is sent.

    :param secret: what the gateway and PHP alone know.
    :param seconds: tells the time, in seconds since the epoch.
    """

    def __init__(self, secret: bytes, seconds: Callable[[], float]) -> None:
        self._secret = secret
        self._seconds = seconds

    def sign(self, body: bytes) -> tuple[bytes, bytes]:
        """Sign a request's body, now.

        :returns: the values of :data:`TIMESTAMP`, in whole seconds, and of :data:`SIGNATURE`:
            ``sha256=`` and in hexadecimal digits the HMAC (RFC 2104) of both, joined with a dot.
        """
        timestamp = b"%d" % self._seconds()
        digest = hmac.digest(self._secret, timestamp + b"." + body, "sha256")
        return timestamp, b"sha256=" + digest.hex().encode()
