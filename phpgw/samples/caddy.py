"""Caddy: a part of a site that is there already, or a whole site."""

import re

from phpgw.samples.proxied_gateway import ProxiedGateway, explain_missing
from phpgw.samples.text import checked, comment, example, host_and_port, indented, joined
from phpgw.samples.web_site import EventScript, WebSite
from phpgw.settings.server_address import TcpServer, UnixServer

_PLAIN = re.compile(r"[A-Za-z0-9_./:@=,+~*\[\]-]+")
_PART = "/etc/caddy/phpgw.caddy"
_SITE = "/etc/caddy/Caddyfile"
_TAB = "\t"


def make_part(gateway: ProxiedGateway) -> str:
    """Return a part of a site, for a file that the site imports.

    :raises CannotWrite: if Caddy cannot be told so.
    """
    return joined(
        [
            *comment('The WebSocket of phpgw, as "phpgw caddy" prints it.'),
            "#",
            *comment(f"Save it as {_PART}, and import it in the block of your site:"),
            *example(["import phpgw.caddy"]),
            *explain_missing(gateway.missing),
            "",
            *_handle(gateway),
        ]
    )


def make_site(gateway: ProxiedGateway, site: WebSite) -> str:
    """Return a whole site.

    :raises CannotWrite: if Caddy cannot be told so.
    """
    own = site.certificate is not None or site.key is not None
    files = f"tls {_quoted(site.certificate_path)} {_quoted(site.key_path)}"
    return joined(
        [
            *comment(f'{site.name} with phpgw, as "phpgw caddy" prints it.'),
            "#",
            *comment(f"Save it as {_SITE}, or add it there. Caddy gets the certificate by itself."),
            *explain_missing((*gateway.missing, *site.missing)),
            "",
            f"{site.name} {{",
            *_indented(
                [
                    *([files] if own else []),
                    f"root * {_quoted(site.root)}",
                    "",
                    *_handle(gateway),
                    "",
                    *_hidden(site.hidden_script(gateway.ws_path)),
                    "handle {",
                    *_indented([f"php_fastcgi {_upstream(site.php_fpm)}", "file_server"]),
                    "}",
                ]
            ),
            "}",
            *_internal(site),
        ]
    )


def _handle(gateway: ProxiedGateway) -> list[str]:
    return [
        *comment(
            f"Only {gateway.ws_path} reaches phpgw. Its API (/send, /stats) is for PHP alone, so "
            "never pass all paths on."
        ),
        f"handle {gateway.ws_path} {{",
        *_indented(
            [
                f"reverse_proxy {_upstream(gateway.server)} {{",
                *_indented(
                    [
                        *comment(
                            "Caddy sets Host and X-Forwarded-For, -Proto and -Host by itself. It "
                            "would pass this one on as the browser sends it:"
                        ),
                        "header_up -Forwarded",
                        *_tls(gateway),
                    ]
                ),
                "}",
            ]
        ),
        "}",
    ]


def _tls(gateway: ProxiedGateway) -> list[str]:
    """Return how the gateway's certificate is checked."""
    if not gateway.uses_tls:
        return []
    how = ["tls"]
    if gateway.is_local:
        # It does not leave the machine.
        how.append("tls_insecure_skip_verify")
    elif isinstance(gateway.server, TcpServer):
        how.append(f"tls_server_name {gateway.server.host}")
    return ["transport http {", *_indented(how), "}"]


def _hidden(script: EventScript | None) -> list[str]:
    if script is None:
        return []
    path = script.path if script.is_route else f"{script.path}*"
    return [
        *comment("Whoever can POST to this script can claim to be any client."),
        f"handle {_quoted(path)} {{",
        *_indented(["respond 404"]),
        "}",
        "",
    ]


def _internal(site: WebSite) -> list[str]:
    """Return the site to which the gateway posts events."""
    script = site.script
    if script is None or script.port is None:
        return []
    return [
        "",
        *comment("Here phpgw posts events (php-url)."),
        f"http://:{script.port} {{",
        *_indented(
            [
                *comment("Never a public address: this keeps others out."),
                "bind 127.0.0.1",
                f"root * {_quoted(site.root)}",
                f"handle {_quoted(script.path)} {{",
                *_indented(
                    [
                        f"php_fastcgi {_upstream(site.php_fpm)} {{",
                        *_indented(
                            [
                                *comment("The browser, as phpgw reports it."),
                                "env REMOTE_ADDR {header.X-Forwarded-For}",
                                "env HTTPS on",
                            ]
                        ),
                        "}",
                    ]
                ),
                "}",
                "handle {",
                *_indented(["respond 404"]),
                "}",
            ]
        ),
        "}",
    ]


def _upstream(server: TcpServer | UnixServer) -> str:
    if isinstance(server, TcpServer):
        return host_and_port(server.host, server.port)
    return _quoted(f"unix/{checked(server.path, forbidden='|')}")


def _indented(lines: list[str]) -> list[str]:
    return indented(lines, _TAB)


def _quoted(text: str) -> str:
    """Return a text with quotes, if it needs them. Braces would be placeholders, even in quotes."""
    return text if _PLAIN.fullmatch(text) else f"`{checked(text, forbidden='`{}')}`"
