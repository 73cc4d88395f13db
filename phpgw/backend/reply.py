"""PHP's reply to an event: its head, its body, and callbacks for a streamed one."""

from collections.abc import Callable
from typing import Protocol

import attrs


@attrs.frozen
class Head:
    """The status and the headers of a reply.

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
        """Return whether the status is 2xx (RFC 9110, section 15.3)."""
        return 200 <= self.status < 300

    def values(self, name: bytes) -> tuple[bytes, ...]:
        """Return the values of all headers with this lower-case name."""
        return tuple(value for each, value in self.headers if each == name)


@attrs.define(unsafe_hash=True)
class Reply:
    """A complete reply. It never changes; as for an event, ``frozen`` would take time.

    :ivar body: what the script printed; empty if it was streamed (:data:`Follow`).
    :ivar errors: the beginning of what PHP has written to its log meanwhile; only FastCGI has it.
    """

    head: Head
    body: bytes = b""
    errors: bytes = b""


class FlowControl(Protocol):
    """Pauses and resumes a streamed reply."""

    def pause(self) -> None:
        """Stop reading, because the client is slow. The timeout does not run meanwhile.

        Data that has been read already may still follow.
        """

    def hold(self) -> None:
        """Do the same as :meth:`pause` for another reason than a slow client."""

    def resume(self) -> None:
        """Read again."""


# A callback that is called with a reply's head before the body is complete. It returns a consumer
# of the body, piece by piece as PHP flushes it, or None if the body is not to be streamed.
Follow = Callable[[Head, FlowControl], Callable[[bytes], None] | None]
