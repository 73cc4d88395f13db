"""HAProxy: a backend for a configuration that is there already, or a whole configuration."""

from phpgw.samples.proxied_gateway import ProxiedGateway, explain_missing
from phpgw.samples.text import checked, comment, example, host_and_port, indented, joined
from phpgw.settings.server_address import TcpServer, UnixServer

_FILE = "/etc/haproxy/haproxy.cfg"
_CERTIFICATES = "/etc/haproxy/certs"
_AUTHORITIES = "/etc/ssl/certs/ca-certificates.crt"
_RESERVE = 512


def make_backend(gateway: ProxiedGateway) -> str:
    """Return a backend, to add to a configuration.

    :raises CannotWrite: if HAProxy cannot be told so.
    """
    return joined(
        [
            *comment('The WebSocket of phpgw, as "phpgw haproxy" prints it.'),
            "#",
            *comment(f"Add it to {_FILE}, and this line to the frontend of your site:"),
            *example([_use(gateway)]),
            *explain_missing(gateway.missing),
            *_maxconn(gateway),
            "",
            *_backend(gateway),
        ]
    )


def make_configuration(gateway: ProxiedGateway, name: str, certificate: str | None) -> str:
    """Return a whole configuration, for the WebSocket alone.

    :param name: the name of the server.
    :param certificate: the file with the certificate, the intermediate certificates and the key.
    :raises CannotWrite: if HAProxy cannot be told so.
    """
    pem = certificate or f"{_CERTIFICATES}/{name}.pem"
    return joined(
        [
            *comment(f'The WebSocket of phpgw on {name}, as "phpgw haproxy" prints it.'),
            "#",
            *comment(f"Save it as {_FILE}. HAProxy takes the certificate and its key in one file:"),
            *example([f"cat fullchain.pem privkey.pem > {pem}"]),
            *explain_missing(gateway.missing),
            "",
            "global",
            *indented(["log stderr format short daemon notice", *_limit(gateway)]),
            *indented(["ssl-default-bind-options ssl-min-ver TLSv1.2"]),
            "",
            "defaults",
            *indented(
                [
                    "log global",
                    "mode http",
                    "timeout connect 5s",
                    "timeout client 30s",
                    "timeout server 30s",
                ]
            ),
            "",
            "frontend phpgw",
            *indented(
                [
                    "bind :80",
                    f"bind :443 ssl crt {_quoted(pem)}",
                    "http-request redirect scheme https code 301 unless { ssl_fc }",
                    f"http-request deny deny_status 404 unless {{ path {gateway.ws_path} }}",
                    "default_backend phpgw",
                ]
            ),
            "",
            *_backend(gateway),
        ]
    )


def _use(gateway: ProxiedGateway) -> str:
    return f"use_backend phpgw if {{ path {gateway.ws_path} }}"


def _maxconn(gateway: ProxiedGateway) -> list[str]:
    """Return a comment about a limit that is set elsewhere."""
    limit = _limit(gateway)
    if not limit:
        return []
    return [
        "#",
        *comment(
            f"For the {gateway.max_connections} clients that the gateway accepts "
            "(max-connections), set in global and in defaults:"
        ),
        *example(limit),
    ]


def _limit(gateway: ProxiedGateway) -> list[str]:
    count = gateway.max_connections
    return [f"maxconn {count + _RESERVE}"] if count else []


def _backend(gateway: ProxiedGateway) -> list[str]:
    wait = (
        "A connection is cut that is quiet for so long: phpgw's pings have been missing for some "
        "time then."
        if gateway.is_pinged
        else "A connection is cut that is quiet for so long: phpgw sends no pings."
    )
    return [
        *comment(
            f"Only {gateway.ws_path} may reach phpgw. Its API (/send, /stats) is for PHP alone."
        ),
        "backend phpgw",
        *indented(
            [
                "mode http",
                f"http-request deny deny_status 404 unless {{ path {gateway.ws_path} }}",
                *_headers(gateway),
                *comment(wait),
                f"timeout tunnel {gateway.quiet_seconds}s",
                *_chroot(gateway),
                " ".join(["server phpgw", _server(gateway.server), *_options(gateway)]),
            ]
        ),
    ]


def _headers(gateway: ProxiedGateway) -> list[str]:
    note = []
    if gateway.uses_proxy_protocol:
        note = comment(
            "The PROXY protocol tells phpgw the browser's address. These headers count only from a "
            "trusted-proxy at an endpoint without haproxy: there PHP would see https, too."
        )
    return [
        *comment("Set, not extended: what the browser says of itself is not believed."),
        *note,
        "http-request set-header X-Forwarded-For %[src]",
        "http-request set-header X-Forwarded-Proto https if { ssl_fc }",
        "http-request set-header X-Forwarded-Proto http unless { ssl_fc }",
        "http-request set-header X-Forwarded-Host %[req.hdr(host)]",
        "http-request del-header Forwarded",
    ]


def _chroot(gateway: ProxiedGateway) -> list[str]:
    if not isinstance(gateway.server, UnixServer):
        return []
    return comment(
        "With chroot in global, as on Debian, HAProxy finds no socket outside of that directory: "
        "use a TCP port, or no chroot."
    )


def _server(server: TcpServer | UnixServer) -> str:
    if isinstance(server, TcpServer):
        return host_and_port(server.host, server.port)
    # Variables are replaced in addresses, in whatever quotes.
    return _quoted(f"unix@{checked(server.path, forbidden='$')}")


def _options(gateway: ProxiedGateway) -> list[str]:
    options = []
    if gateway.uses_tls:
        options.append("ssl")
        if gateway.is_local or not isinstance(gateway.server, TcpServer):
            # It does not leave the machine.
            options += ["verify", "none"]
        else:
            host = gateway.server.host
            options += ["verify", "required", "ca-file", _AUTHORITIES]
            options += ["sni", f"str({host})", "verifyhost", host]
    if gateway.uses_proxy_protocol:
        options.append("send-proxy-v2")
    return options


def _quoted(text: str) -> str:
    """Return a text in single quotes, in which nothing is special."""
    return f"'{checked(text, forbidden=chr(39))}'"
