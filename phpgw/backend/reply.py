"""PHP's reply to an event: its head, its body, and how a streamed one is followed."""

from collections.abc import Callable
from typing import Protocol

import attrs


@attrs.frozen
class Head:
    """What a reply says before its body.

    :ivar status: the HTTP status.
    :ivar headers: names in lower case, in order.
    :ivar media_type: that of Content-Type, in lower case and without parameters; may be empty.
    :ivar set_cookies: the values of Set-Cookie.
    """

    status: int
    headers: tuple[tuple[bytes, bytes], ...] = ()
    media_type: bytes = attrs.field(init=False, eq=False, repr=False)
    set_cookies: tuple[bytes, ...] = attrs.field(init=False, eq=False, repr=False)

    @media_type.default
    def _media_type(self) -> bytes:
        for value in self.values(b"content-type"):
            return value.partition(b";")[0].strip().lower()
        return b""

    @set_cookies.default
    def _set_cookies(self) -> tuple[bytes, ...]:
        return self.values(b"set-cookie")

    @property
    def is_success(self) -> bool:
        """Whether the status is 2xx (RFC 9110, section 15.3)."""
        return 200 <= self.status < 300

    def values(self, name: bytes) -> tuple[bytes, ...]:
        """The values of all headers with this lower-case name."""
        return tuple(value for each, value in self.headers if each == name)


@attrs.frozen
class Reply:
    """PHP's answer, complete.

    :ivar body: what the script printed; empty if it was taken piece by piece (:data:`Follow`).
    """

    head: Head
    body: bytes = b""


class FlowControl(Protocol):
    """A reply on its way, which can be held up."""

    def pause(self) -> None:
        """Take no more of it for now; meanwhile PHP is not taken for silent.

        What has been read already may still come.
        """

    def hold(self) -> None:
        """Do the same as :meth:`pause`, though its client is not slow."""

    def resume(self) -> None:
        """Go on."""


# Is shown a reply's head while the body is still on its way. It returns what takes the body piece
# by piece, as PHP flushes it, or None for the body to be gathered.
Follow = Callable[[Head, FlowControl], Callable[[bytes], None] | None]
