"""Access control of the API.

A caller with the token may use it. Without a token, programs of this machine may: those at a
loopback address or a UNIX socket, unless there is a sign of a proxy or of a browser, which act for
others (:mod:`phpgw.api.proxy_signs`, :mod:`phpgw.web.proxy_detection`).

A browser gives no sign in one case, DNS rebinding: a page whose host name has just been changed to
an address of this machine takes the gateway for its own server. The Host header has that name.
"""

from hashlib import sha256
from hmac import compare_digest
from pathlib import Path
from typing import Any, Protocol, Self

import attrs
from twisted.internet.interfaces import IAddress, ITransport
from twisted.logger import Logger
from twisted.web.server import Request

from phpgw.api.proxy_signs import find_sign, is_old_http
from phpgw.log_limit import line_limit
from phpgw.settings import Settings
from phpgw.settings.option import InvalidOption
from phpgw.settings.secret_file import read_token
from phpgw.web.addresses import peer_name
from phpgw.web.forwarded import TrustedProxies
from phpgw.web.host import is_safe_from_rebinding, parse_host
from phpgw.web.local_peer import is_local_address, local_port, uses_proxy_protocol
from phpgw.web.proxy_detection import ProxyDetector
from phpgw.web.response import HttpError

_HINT = "Call from the gateway's own machine, as localhost or 127.0.0.1, or set --api-token-file."
_PROXIED = (
    "There is a proxy on this machine in front of this port ({reason}), so this may be anybody's "
    "request. Push to a port of --api-listen, or set --api-token-file."
)
_OLD_HTTP = (
    "The request is in HTTP/1.0, as Nginx passes requests on, so it may be anybody's. In PHP use "
    "curl, or set 'protocol_version' => 1.1 in the stream context's http options. Or push to a "
    "port of --api-listen, or set --api-token-file."
)
_MAX_CALLERS = 1000
_TOKEN_OPTION = "api-token-file"
_CHALLENGE = {"WWW-Authenticate": 'Bearer realm="phpgw"'}


class Denied(HttpError):
    """The request may not use the API."""


class AccessControl(Protocol):
    """Tells which requests may use a resource."""

    def check(self, request: Request) -> None:
        """Check that a request may use it.

        :raises HttpError: if it may not; :exc:`Denied` if others may.
        """


# Why a caller was once allowed to use the API: a text that each process of the gateway can judge.
Permission = str


class LastingAccess(AccessControl, Protocol):
    """An access control for what goes on after a request, such as a WebSocket."""

    def permission(self, request: Request) -> Permission:
        """Return the permission of a request that passes :meth:`check`."""

    def permits(self, permission: Permission) -> bool:
        """Return whether who got a permission may still use the API."""


@attrs.frozen
class Caller:
    """The peer of a connection.

    :ivar port: the gateway's port or socket (:func:`phpgw.web.local_peer.port_or_path`).
    :ivar obstacle: why the peer is not taken for a program of this machine; ``None`` if it is.
    """

    port: int | str
    obstacle: str | None


class Access:
    """The access control of the API.

    :param token: the secret with which any caller may use it; ``None`` if there is none.
    :param trusts_local: whether programs of this machine need no token although there is one.
    :param is_shared: whether browsers connect to the same ports, perhaps through a proxy.
    :param proxy_detector: knows the ports behind a proxy; ``None`` if that does not matter.
    :param token_file: the file with the token.
    """

    log = Logger(observer=line_limit)

    def __init__(
        self,
        token: bytes | None = None,
        *,
        trusts_local: bool = False,
        is_shared: bool = True,
        proxy_detector: ProxyDetector | None = None,
        token_file: Path | None = None,
    ) -> None:
        self._token = token
        self._token_file = token_file
        self._trusts_local = trusts_local or token is None
        self._is_shared = is_shared
        # By port and host of the peer. Most connections have the same few.
        self._callers: dict[tuple[int | str, str | None], Caller] = {}
        self.proxy_detector = proxy_detector

    @classmethod
    def from_settings(cls, settings: Settings, proxies: TrustedProxies) -> Self:
        """Return the access that the settings grant.

        :raises InvalidOption: if the token's file is unusable.
        """
        path = settings.api_token_file
        token = None if path is None else read_token(_TOKEN_OPTION, path)
        is_shared = not settings.api_listen
        is_at_risk = is_shared and token is None and not settings.api_trust_local
        return cls(
            token,
            trusts_local=settings.api_trust_local,
            is_shared=is_shared,
            proxy_detector=ProxyDetector(proxies) if is_at_risk else None,
            token_file=path,
        )

    def reload(self) -> bool:
        """Read the token's file again. What was allowed by another token no longer is.

        If the file is unusable, the log says so, and the token stays.

        :returns: whether there is such a file.
        """
        if self._token_file is None:
            return False
        try:
            self._token = read_token(_TOKEN_OPTION, self._token_file)
        except InvalidOption as error:
            self.log.error(
                "The API goes on with the token that it has: {reason}", reason=str(error)
            )
        return True

    def check(self, request: Request) -> None:
        """Check that a request may use the API, and log it if it may not.

        :raises Denied: if it may not.
        """
        try:
            self._check(request)
        except Denied as denied:
            # Only the first segment: what follows may be a secret.
            self.log.warn(
                "Denied {peer} a request for {path}: {reason}",
                peer=peer_name(request.getClientAddress()),
                path="/" + (request.prepath or [b""])[0].decode("ascii", "replace"),
                status=denied.status,
                reason=str(denied),
            )
            raise

    def caller(self, transport: ITransport) -> Caller:
        """Return the peer of a connection."""
        port = local_port(transport)
        if uses_proxy_protocol(transport):
            obstacle = f"The request came through a proxy (PROXY protocol). {_HINT}"
            return Caller(port, obstacle)
        peer = transport.getPeer()
        key = port, getattr(peer, "host", None)
        caller = self._callers.get(key)
        if caller is None:
            if len(self._callers) == _MAX_CALLERS:
                self._callers.clear()
            caller = self._callers[key] = Caller(port, self._peer_obstacle(peer))
        return caller

    def allows_caller(self, caller: Caller, authorization: bytes) -> bool:
        """Return whether a request without any sign of a proxy or a browser may use the API.

        :param authorization: the header's value; empty if there is none.
        """
        if authorization and self._token is not None:
            credentials = _bearer(authorization)
            if credentials is not None:
                return compare_digest(credentials, self._token)
        return self._trusts_local and self._obstacle(caller) is None

    def permission(self, request: Request) -> Permission:
        """Return the permission of a caller: until the token changes, if it has the token.

        Else until a proxy is found in front of the port: it may have passed on the request.
        """
        token = self._token
        if token is not None and _bearer(request.getHeader(b"Authorization") or b"") is not None:
            return f"token {_digest(token)}"
        transport: Any = request.channel.transport
        return f"port {self.caller(transport).port}"

    def permits(self, permission: Permission) -> bool:
        """Return whether who got a permission may still use the API."""
        reason, _, detail = permission.partition(" ")
        match reason:
            case "token":
                return self._token is not None and compare_digest(detail, _digest(self._token))
            case "port":
                port = int(detail) if detail.isdecimal() else detail
                return self._trusts_local and self._obstacle(Caller(port, None)) is None
        return False

    def allows(self, request: Request) -> bool:
        """Return whether a request may use the API, without logging it."""
        try:
            self._check(request)
        except Denied:
            return False
        return True

    def _check(self, request: Request) -> None:
        credentials = _bearer(request.getHeader(b"Authorization") or b"")
        if credentials is not None and self._token is not None:
            if compare_digest(credentials, self._token):
                return
            raise self._denied("The token is not the one in --api-token-file.")
        if not self._trusts_local:
            raise self._denied(
                "Without Authorization: Bearer TOKEN, with what is in --api-token-file."
            )
        sign = find_sign(request)
        if sign is not None:
            raise self._denied(f"{sign}. {_HINT}")
        transport: Any = request.channel.transport
        obstacle = self._obstacle(self.caller(transport))
        if obstacle is not None:
            raise self._denied(obstacle)
        if self._is_shared and is_old_http(request):
            raise self._denied(_OLD_HTTP)
        if not is_for_this_machine(request.getHeader(b"Host") or b""):
            raise self._denied(f"The request is for a host of another name. {_HINT}")

    def _peer_obstacle(self, peer: IAddress) -> str | None:
        """Return why a peer is never taken for a program of this machine."""
        if not is_local_address(peer):
            return f"The request came from another machine. {_HINT}"
        if self.proxy_detector is not None and self.proxy_detector.is_proxy(peer):
            return _PROXIED.format(reason="--trusted-proxy")
        return None

    def _obstacle(self, caller: Caller) -> str | None:
        """Return why a caller is not taken for a program of this machine now."""
        ports = self.proxy_detector
        if caller.obstacle is None and ports is not None and ports.is_proxied(caller.port):
            return _PROXIED.format(reason="a browser's handshake came through it")
        return caller.obstacle

    def _denied(self, reason: str) -> Denied:
        return Denied(403, reason) if self._token is None else Denied(401, reason, _CHALLENGE)


def is_for_this_machine(host: bytes) -> bool:
    """Return whether a Host header cannot come from DNS rebinding."""
    name = parse_host(host)
    return name is not None and is_safe_from_rebinding(name)


def _digest(token: bytes) -> str:
    return sha256(token).hexdigest()


def _bearer(authorization: bytes) -> bytes | None:
    """Return the token in an Authorization header; ``None`` if it has another scheme."""
    scheme, _, credentials = authorization.partition(b" ")
    return credentials.strip() if scheme.lower() == b"bearer" else None


def describe_access(settings: Settings, proxies: TrustedProxies) -> str:
    """Return where the API is, and who may use it, in words for the log."""
    places = ", ".join(settings.api_listen)
    place = f"on {places}" if places else "on the same"
    here = "all programs of this machine, without a token"
    if settings.api_token_file is not None:
        others = here if settings.api_trust_local else "nobody else"
        callers = f"whoever has the token, and {others}"
    elif places:
        callers = here
    elif settings.api_trust_local:
        callers = f"{here}, and to whom a proxy of this machine passes on (--api-trust-local)"
    elif proxies.trusts("127.0.0.1"):
        callers = "nobody, as --trusted-proxy is here: add --api-listen, or --api-token-file"
    else:
        callers = f"{here}, until a browser comes through a proxy here (then use --api-listen)"
    return f"the API (/send) is {place}, open to {callers}"
