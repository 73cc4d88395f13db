"""The public way, step by step: from the name in the URL to the gateway's own view of it."""

from collections.abc import Generator, Iterator, Mapping
from typing import Any, Protocol

import attrs

from phpgw.checks.addresses import HostPort
from phpgw.checks.api_exposure import check_exposure
from phpgw.checks.finding import Finding, Level
from phpgw.checks.idle_cut import check_idle
from phpgw.checks.proxied_handshake import ProxiedHandshake, check_handshake
from phpgw.checks.public_connection import PublicConnections, check_connection
from phpgw.checks.public_request import exchange, handshake, plain_request
from phpgw.checks.public_response import PUBLIC_HTTP, explain_response, is_gateway_page
from phpgw.checks.public_url import PublicUrl
from phpgw.settings.server_address import TcpServer, UnixServer, parse_server_address


class Announcer(Protocol):
    """Tells the gateway of handshakes that are to come."""

    def expect(self, idle: float) -> str | None:
        """Return a token for one handshake; ``None`` if there is no gateway to tell.

        :param idle: seconds for which its connection is kept.
        """

    def report(self, token: str) -> Mapping[str, Any] | None:
        """Return what the gateway has seen of a handshake; ``None`` if it has not come."""


@attrs.frozen(kw_only=True)
class PublicWay:
    """The way that is to be checked.

    :ivar origin: that of the pages.
    :ivar idle: seconds for which a silent connection has to last; 0 not to try.
    :ivar settings: those of the gateway, as in :class:`phpgw.checks.situation.Situation`.
    """

    url: PublicUrl
    origin: str
    idle: float
    settings: Mapping[str, Any]

    @property
    def upstream(self) -> str:
        """Return the gateway's URL without a path, as Nginx on the same machine would have it."""
        for endpoint in self.settings["listen"]:
            address = parse_server_address(endpoint)
            scheme = "https" if address is not None and address.uses_tls else "http"
            server = None if address is None else address.server
            if isinstance(server, UnixServer):
                return f"{scheme}://unix:{server.path}:"
            if isinstance(server, TcpServer):
                return f"{scheme}://{HostPort(server.host, server.port)}"
        return "http://127.0.0.1:8080"

    @property
    def trusts_proxies(self) -> bool:
        """Return whether the gateway believes any proxy: by its headers, or the PROXY protocol."""
        addresses = map(parse_server_address, self.settings["listen"])
        speaks_proxy = any(each is None or each.uses_proxy_protocol for each in addresses)
        return bool(self.settings["trusted-proxy"]) or speaks_proxy


def check_public_way(way: PublicWay, announcer: Announcer) -> Iterator[Finding]:
    """Yield what is found on the way."""
    for step in check_connection(way.url):
        if isinstance(step, Finding):
            yield step
            continue
        is_accepted = yield from _check_handshake(way, step, announcer)
        yield from check_exposure(step)
        if way.idle and is_accepted:
            yield from _check_idle(way, step, announcer)


def _check_handshake(
    way: PublicWay, connections: PublicConnections, announcer: Announcer
) -> Generator[Finding, None, bool]:
    """Yield what came of a handshake; return whether the gateway has accepted it."""
    token = announcer.expect(0)
    if token is None:
        yield from _check_without_gateway(way, connections)
        return False
    try:
        with connections.open() as connection:
            own_address = connection.getsockname()[:2]
            response = exchange(connection, handshake(way.url, token, way.origin))
    except OSError as error:
        yield _broken(error)
        return False
    report = announcer.report(token)
    if report is None:
        yield explain_response(way.url, response, way.upstream)
        return False
    findings = [
        *check_handshake(
            ProxiedHandshake(
                url=way.url,
                origin=way.origin,
                own_address=own_address,
                report=report,
                upstream=way.upstream,
                ws_path=way.settings["ws-path"],
                trusts_proxies=way.trusts_proxies,
            )
        )
    ]
    is_wrong = any(finding.level is Level.WRONG for finding in findings)
    if report["is_accepted"] and response.status == 101:
        yield PUBLIC_HTTP.ok("A WebSocket can be opened")
    elif report["is_accepted"]:
        yield _response_lost(response.describe())
    elif not is_wrong:
        yield _refused(report.get("refusal", response.describe()))
    yield from findings
    return bool(report["is_accepted"])


def _check_without_gateway(way: PublicWay, connections: PublicConnections) -> Iterator[Finding]:
    """Ask without a handshake, which would make a client."""
    try:
        with connections.open() as connection:
            response = exchange(connection, plain_request(way.url, way.url.path))
    except OSError as error:
        yield _broken(error)
        return
    if is_gateway_page(response):
        yield PUBLIC_HTTP.skipped(
            f"A gateway answers at {way.url.path}; its handshake was not tried",
            why="The gateway's API: to run on its machine, or --api and a token.",
        )
    else:
        yield explain_response(way.url, response, way.upstream)


def _check_idle(
    way: PublicWay, connections: PublicConnections, announcer: Announcer
) -> Iterator[Finding]:
    token = announcer.expect(way.idle)
    if token is not None:
        interval = way.settings["ping-interval"]
        yield from check_idle(connections, token, way.origin, way.idle, interval)


def _broken(error: OSError) -> Finding:
    return PUBLIC_HTTP.wrong(
        "The connection broke",
        why="No browser can connect.",
        fix="systemctl restart nginx",
        where="a shell on the proxy's machine; its error log says more",
        seen=str(error),
    )


def _response_lost(seen: str) -> Finding:
    return PUBLIC_HTTP.wrong(
        "The gateway accepts the handshake, and its response does not come back",
        why="Something in between does not know WebSockets. No browser can connect.",
        fix="proxy_http_version 1.1;",
        where="the proxy's configuration; or the CDN's switch for WebSockets",
        seen=seen,
    )


def _refused(reason: str) -> Finding:
    return PUBLIC_HTTP.wrong(
        "The gateway refuses the handshake",
        why="No browser can connect.",
        fix="proxy_pass_request_headers on;",
        where="the proxy's configuration, in the location of the WebSocket",
        seen=reason,
    )
