"""Responses that come from the pool, and not from the API."""

from http import HTTPStatus

import attrs


@attrs.define(eq=False)
class ApiRefusal(Exception):
    """A response of the pool's own to a request of PHP.

    :ivar status: its status code.
    :ivar error: the type of the error: RFC 9209, section 2.3.
    :ivar reason: why, and what would help.
    :ivar retry_after: seconds after which PHP may try again.
    """

    status: int
    error: str
    reason: str
    retry_after: int | None = None

    def encode(self, pool: str, *, has_body: bool = True) -> bytes:
        """Return the response, after which the connection is closed.

        :param has_body: whether the request was not ``HEAD``.
        """
        body = f"phpgw, pool {pool}: {self.reason}\n".encode()
        retry = b"" if self.retry_after is None else b"Retry-After: %d\r\n" % self.retry_after
        return (
            b"HTTP/1.1 %d %b\r\nServer: phpgw\r\nProxy-Status: phpgw; error=%b\r\n%b"
            b"Content-Type: text/plain; charset=utf-8\r\nContent-Length: %d\r\n"
            b"Connection: close\r\n\r\n%b"
            % (
                *(self.status, HTTPStatus(self.status).phrase.encode(), self.error.encode(), retry),
                *(len(body), body if has_body else b""),
            )
        )
