"""Which requests a pool passes on: those for its own server, from PHP."""

import re

import attrs

from phpgw.pools.https.messages import ApiRequestHead
from phpgw.pools.https.refusal import ApiRefusal
from phpgw.web.host import is_safe_from_rebinding, parse_host

_VERSIONS = ("1.0", "1.1")
# CONNECT would make the pool a tunnel; the response to TRACE has the added fields in it.
_REFUSED_METHODS = (b"CONNECT", b"TRACE")
# ".." between slashes, also as servers read it that decode the path first, or take off parameters.
_PARENT = re.compile(rb"(?:[/\\]|%2f|%5c)(?:\.|%2e){2}(?:[/\\;]|%2f|%5c|%3b|$)", re.IGNORECASE)
# Fetch standard: a browser sends one of these with each request that can change something.
_OF_BROWSERS = (b"origin", b"sec-fetch-site")


@attrs.frozen
class ApiAdmission:
    """Checks requests.

    :ivar host: the server's, as in a URL: with its port if that is not the usual one.
    :ivar base: the path that all targets are below, without a slash at its end.
    """

    host: bytes
    base: bytes = b""

    def check(self, head: ApiRequestHead, *, from_socket: bool) -> bytes:
        """Return the target of the request to the server, in origin form.

        :param from_socket: whether the request came over a UNIX socket, which no browser opens.
        :raises ApiRefusal: if it is not to be passed on.
        """
        fields = head.fields
        if head.version not in _VERSIONS:
            raise ApiRefusal(505, "http_request_error", "the protocol has to be HTTP/1.1")
        if head.method in _REFUSED_METHODS:
            raise ApiRefusal(405, "http_request_denied", f"{head.method.decode()} is not allowed")
        if head.is_chunked and (fields.coding != b"chunked" or head.version == "1.0"):
            raise ApiRefusal(501, "http_request_error", "Transfer-Encoding can only be chunked")
        if len(fields.hosts) > 1 or not (fields.hosts or head.version == "1.0"):
            raise ApiRefusal(400, "http_request_error", "there has to be one Host header")
        host, target = head.split_target()
        if host is not None and parse_host(host) != parse_host(self.host):
            raise self._misdirected()
        if not all(map(self._is_for_the_server, fields.hosts)):
            raise self._misdirected()
        if not (target.startswith(b"/") or (target == b"*" and head.method == b"OPTIONS")):
            raise ApiRefusal(400, "http_request_error", "the path has to begin with a slash")
        if b"#" in target:
            raise ApiRefusal(400, "http_request_error", "there is a # in the path")
        if self.base and _PARENT.search(target.partition(b"?")[0]):
            base = self.base.decode("utf-8", "replace")
            raise ApiRefusal(
                400, "http_request_denied", f"the path has .. in it, and could lead out of {base}"
            )
        if not from_socket and any(name in _OF_BROWSERS for name in fields.names):
            raise ApiRefusal(
                *(403, "http_request_denied"),
                "the request came from a browser; if it did not, use a UNIX socket",
            )
        return target

    def _is_for_the_server(self, host: bytes) -> bool:
        """Return whether a Host header names the server, or no other.

        A name with dots could be one with which a page in a browser reaches this machine.
        """
        name = parse_host(host)
        return name is not None and (
            name == parse_host(self.host) or not name or is_safe_from_rebinding(name)
        )

    def _misdirected(self) -> ApiRefusal:
        host = self.host.decode()
        return ApiRefusal(
            *(421, "http_request_denied"),
            f"this is no proxy for other servers than {host}: the host in the URL has to be that "
            "name, localhost or an address",
        )
