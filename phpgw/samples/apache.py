"""Apache: a part of a virtual host that is there already, or whole virtual hosts."""

import re

from phpgw.samples.proxied_gateway import ProxiedGateway, explain_missing
from phpgw.samples.text import checked, comment, example, host_and_port, indented, joined
from phpgw.samples.web_site import EventScript, WebSite
from phpgw.settings.server_address import TcpServer, UnixServer

_PART = "/etc/apache2/phpgw.conf"
_SITE = "/etc/apache2/sites-available/phpgw.conf"
_MODULES = "proxy proxy_http headers"
_SITE_MODULES = f"{_MODULES} ssl proxy_fcgi remoteip"


def make_part(gateway: ProxiedGateway) -> str:
    """Return a part of a virtual host, for a file that it includes.

    :raises CannotWrite: if Apache cannot be told so.
    """
    modules = f"{_MODULES} ssl" if gateway.uses_tls else _MODULES
    return joined(
        [
            *comment('The WebSocket of phpgw, as "phpgw apache" prints it.'),
            "#",
            *comment(f"Save it as {_PART}, and include it in the <VirtualHost> of your site:"),
            *example([f"Include {_PART}"]),
            *comment("It needs Apache 2.4.47 or later, with these modules:"),
            *example([f"a2enmod {modules}"]),
            *explain_missing(gateway.missing),
            *_workers(gateway),
            "",
            *_proxy(gateway),
        ]
    )


def make_site(gateway: ProxiedGateway, site: WebSite) -> str:
    """Return whole virtual hosts.

    :raises CannotWrite: if Apache cannot be told so.
    """
    return joined(
        [
            *comment(f'{site.name} with phpgw, as "phpgw apache" prints it.'),
            "#",
            *comment(f"Save it as {_SITE}. It needs Apache 2.4.47 or later:"),
            *example([f"a2enmod {_SITE_MODULES}", "a2ensite phpgw"]),
            *explain_missing((*gateway.missing, *site.missing)),
            *_workers(gateway),
            "",
            "<VirtualHost *:80>",
            *indented([f"ServerName {site.name}", f"Redirect permanent / https://{site.name}/"]),
            "</VirtualHost>",
            "",
            "<VirtualHost *:443>",
            *indented(
                [
                    f"ServerName {site.name}",
                    "SSLEngine on",
                    f"SSLCertificateFile {_quoted(site.certificate_path)}",
                    f"SSLCertificateKeyFile {_quoted(site.key_path)}",
                    "",
                    *_pages(site),
                    "",
                    *_proxy(gateway),
                    *_hidden(site.hidden_script(gateway.ws_path)),
                ]
            ),
            "</VirtualHost>",
            *_internal(site),
        ]
    )


def _workers(gateway: ProxiedGateway) -> list[str]:
    """Return a comment about a limit that is set elsewhere."""
    text = "Each client keeps one of Apache's workers busy (MaxRequestWorkers)."
    if gateway.max_connections:
        text += (
            f" The gateway accepts {gateway.max_connections} clients (max-connections). For that "
            "many, Nginx, Caddy and HAProxy take less memory."
        )
    return ["#", *comment(text)]


def _proxy(gateway: ProxiedGateway) -> list[str]:
    exact = f'"^{re.escape(gateway.ws_path)}$"'
    wait = (
        "A connection is cut that is quiet for so long (timeout, in seconds): phpgw's pings have "
        "been missing for some time then."
        if gateway.is_pinged
        else "A connection is cut that is quiet for so long (timeout, in seconds): phpgw sends no "
        "pings."
    )
    return [
        *comment(
            f"Only {gateway.ws_path} reaches phpgw. Its API (/send, /stats) is for PHP alone, so "
            "never pass / on."
        ),
        *comment(wait),
        f"ProxyPassMatch {exact} {_target(gateway)} upgrade=websocket "
        f"timeout={gateway.quiet_seconds}",
        *_tls(gateway),
        f"<LocationMatch {exact}>",
        *indented(
            [
                *comment("phpgw compares Host with Origin, to tell this site's pages from others."),
                "ProxyPreserveHost On",
                *comment(
                    "Apache adds X-Forwarded-For and -Host to these: what the browser says of "
                    "itself is not believed."
                ),
                "RequestHeader unset X-Forwarded-For",
                "RequestHeader unset X-Forwarded-Host",
                "RequestHeader unset Forwarded",
                "RequestHeader set X-Forwarded-Proto expr=%{REQUEST_SCHEME}",
            ]
        ),
        "</LocationMatch>",
    ]


def _target(gateway: ProxiedGateway) -> str:
    # The path is added as it is asked for.
    scheme = "https" if gateway.uses_tls else "http"
    if isinstance(gateway.server, UnixServer):
        path = checked(gateway.server.path, forbidden="|$%#?")
        return _quoted(f"unix:{path}|{scheme}://localhost")
    return f"{scheme}://{host_and_port(gateway.server.host, gateway.server.port)}"


def _tls(gateway: ProxiedGateway) -> list[str]:
    """Return how the gateway's certificate is checked."""
    if not gateway.uses_tls:
        return []
    lines = ["SSLProxyEngine on"]
    if gateway.is_local:
        # It does not leave the machine.
        return [
            *lines,
            "SSLProxyVerify none",
            "SSLProxyCheckPeerName off",
            "SSLProxyCheckPeerExpire off",
        ]
    return [
        *lines,
        "SSLProxyVerify require",
        "SSLProxyCACertificateFile /etc/ssl/certs/ca-certificates.crt",
    ]


def _pages(site: WebSite) -> list[str]:
    return [
        f"DocumentRoot {_quoted(site.root)}",
        f"<Directory {_quoted(site.root)}>",
        *indented(["Require all granted"]),
        "</Directory>",
        '<FilesMatch "\\.php$">',
        *indented([f"SetHandler {_handler(site.php_fpm)}"]),
        "</FilesMatch>",
    ]


def _handler(server: TcpServer | UnixServer) -> str:
    if isinstance(server, UnixServer):
        return _quoted(f"proxy:unix:{checked(server.path, forbidden='|%#?')}|fcgi://localhost")
    return _quoted(f"proxy:fcgi://{host_and_port(server.host, server.port)}")


def _hidden(script: EventScript | None) -> list[str]:
    if script is None:
        return []
    return [
        "",
        *comment("Whoever can POST to this script can claim to be any client."),
        f"<Location {_quoted(script.path)}>",
        *indented(["Require all denied"]),
        "</Location>",
    ]


def _internal(site: WebSite) -> list[str]:
    """Return the virtual host to which the gateway posts events."""
    script = site.script
    if script is None or script.port is None:
        return []
    return [
        "",
        *comment("Here phpgw posts events (php-url). Never a public address: it keeps others out."),
        f"Listen 127.0.0.1:{script.port}",
        f"<VirtualHost 127.0.0.1:{script.port}>",
        *indented(
            [
                *_pages(site),
                "<Location />",
                *indented(["Require all denied"]),
                "</Location>",
                *_granted(script.path),
                *_front_controller(script),
                *comment("The browser, as phpgw reports it."),
                "RemoteIPHeader X-Forwarded-For",
                "RemoteIPInternalProxy 127.0.0.1",
                "SetEnv HTTPS on",
                *comment(
                    "phpgw keeps connections for 60 s after their last event, and should be the "
                    "one that closes them: what is sent just then has to be sent again."
                ),
                "KeepAliveTimeout 75",
                "MaxKeepAliveRequests 0",
                *comment("Longer than php-timeout: phpgw should be the one that gives up."),
                f"ProxyTimeout {script.timeout}",
            ]
        ),
        "</VirtualHost>",
    ]


def _front_controller(script: EventScript) -> list[str]:
    return ["FallbackResource /index.php", *_granted("/index.php")] if script.is_route else []


def _granted(path: str) -> list[str]:
    return [f"<Location {_quoted(path)}>", *indented(["Require all granted"]), "</Location>"]


def _quoted(text: str) -> str:
    """Return a text in quotes. ``${NAME}`` would be a variable, even there."""
    escaped = checked(text, forbidden="$").replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
