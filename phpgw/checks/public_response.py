"""Findings about a response by the public way that is not of the gateway to be checked."""

import attrs

from phpgw.checks.finding import Finding, Subject
from phpgw.checks.public_request import PublicResponse
from phpgw.checks.public_url import PublicUrl

PUBLIC_HTTP = Subject("public-http")
PUBLIC_PATH = Subject("public-path")
PUBLIC_UPSTREAM = Subject("public-upstream")
_PROXY = "the proxy's configuration"
_NOT_REACHED = "The handshake does not reach the gateway, and no browser can connect."
_OURS = b"This address speaks WebSocket"


def is_gateway_page(response: PublicResponse) -> bool:
    """Return whether a gateway refuses a request without Upgrade, as it has to."""
    return response.status == 426 and _OURS in response.body


def explain_response(url: PublicUrl, response: PublicResponse, upstream: str) -> Finding:
    """Return what is wrong, given what has come in place of the gateway's response.

    :param upstream: the gateway's URL without a path, as a proxy would have it.
    """
    status = response.status
    if response.problem:
        return _no_http(url, response, upstream)
    if status == 101:
        return PUBLIC_UPSTREAM.wrong(
            "Another server than this gateway has accepted the handshake",
            why="Clients are there, and PHP's pushes go to this one.",
            fix=f"proxy_pass {upstream};",
            where=f"{_PROXY}; or check the other gateway, with --config or --api",
            seen=response.describe(),
        )
    if 300 <= status < 400:
        return _redirected(url, response)
    if status in (502, 503, 504):
        return _no_upstream(response, upstream)
    if status == 400 and b"plain HTTP request was sent to HTTPS port" in response.body:
        return PUBLIC_HTTP.wrong(
            f"Port {url.port} speaks TLS, and the URL is ws:",
            why=_NOT_REACHED,
            fix=f"new WebSocket('{attrs.evolve(url, scheme='wss')}')",
            where="the page",
            seen=response.describe(),
        )
    if status in (401, 403, 407, 429):
        return PUBLIC_HTTP.wrong(
            f"Something before the gateway refuses the handshake (status {status})",
            why="A login, an address filter or a bot check is for pages. Handshakes cannot pass.",
            fix="auth_basic off; allow all;",
            where=f"{_PROXY}, in location = {url.path}; or the CDN's rules for this path",
            seen=response.describe(),
        )
    if status == 426:
        return PUBLIC_HTTP.wrong(
            "The proxy asks for another protocol (status 426)",
            why=_NOT_REACHED,
            fix=f'ProxyPass "{url.path}" "{upstream}{url.path}" upgrade=websocket',
            where="Apache's configuration, for Apache; with other servers, HTTP/1.1 for this path",
            seen=response.describe(),
        )
    return PUBLIC_PATH.wrong(
        f"The web server itself answers at {url.path} (status {status})",
        why=_NOT_REACHED,
        fix=f"location = {url.path} {{ proxy_pass {upstream}; }}",
        where=f"{_PROXY}, in the server block of {url.host}; or the path in the URL is wrong",
        seen=response.describe(),
    )


def _no_http(url: PublicUrl, response: PublicResponse, upstream: str) -> Finding:
    if response.problem == "HTTP/2":
        return PUBLIC_HTTP.wrong(
            "The server speaks HTTP/2 alone",
            why=f"Handshakes are HTTP/1.1. {_NOT_REACHED}",
            fix=f"listen {url.port}{' ssl' if url.is_secure else ''};",
            where=f"{_PROXY}: without http2, or with HTTP/1.1 beside it (ALPN http/1.1)",
            seen=response.describe(),
        )
    if response.problem == "closed":
        return PUBLIC_HTTP.wrong(
            "The connection was closed without a byte",
            why=f"A server that expects the PROXY protocol does that. {_NOT_REACHED}",
            fix=f"listen {url.port}{' ssl' if url.is_secure else ''};",
            where=f"{_PROXY}: without proxy_protocol, unless a load balancer sends it",
            seen=response.describe(),
        )
    if response.problem == "timeout":
        return PUBLIC_HTTP.wrong(
            "The server takes the connection, and does not answer",
            why=_NOT_REACHED,
            fix=f"proxy_pass {upstream};",
            where=f"{_PROXY}: does it wait for another server, or speak TLS to the gateway?",
            seen=response.describe(),
        )
    return PUBLIC_HTTP.wrong(
        f"What listens on port {url.port} does not speak HTTP",
        why=_NOT_REACHED,
        fix=f"listen {url.port};",
        where=f"{_PROXY}; or the port in the URL is wrong",
        seen=response.describe(),
    )


def _redirected(url: PublicUrl, response: PublicResponse) -> Finding:
    location = response.location()
    if not url.is_secure and location.startswith("https://"):
        return PUBLIC_PATH.wrong(
            "The server redirects to HTTPS",
            why=f"Browsers do not follow redirects of handshakes. {_NOT_REACHED}",
            fix=f"new WebSocket('{attrs.evolve(url, scheme='wss', port=443)}')",
            where="the page",
            seen=f"{response.describe()}; Location: {location}",
        )
    return PUBLIC_PATH.wrong(
        f"The server redirects {url.path} (status {response.status})",
        why=f"Browsers do not follow redirects of handshakes. {_NOT_REACHED}",
        fix=f"location = {url.path} {{",
        where=f"{_PROXY}, in place of location {url.path}/; or write the path in the URL as "
        "the server has it",
        seen=f"{response.describe()}; Location: {location}",
    )


def _no_upstream(response: PublicResponse, upstream: str) -> Finding:
    """Return that a proxy does not reach the gateway."""
    return PUBLIC_UPSTREAM.wrong(
        f"The proxy does not reach the gateway (status {response.status})",
        why="It asks at another address, or the system forbids it (SELinux: setsebool -P "
        "httpd_can_network_connect 1).",
        fix=f"proxy_pass {upstream};",
        where=f"{_PROXY}: the address on which the gateway listens",
        seen=response.describe(),
    )
