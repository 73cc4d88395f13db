"""Nginx: a location for a site that is there already, or a whole site."""

import re

from phpgw.samples.proxied_gateway import ProxiedGateway, explain_missing
from phpgw.samples.text import checked, comment, example, host_and_port, indented, joined
from phpgw.samples.web_site import EventScript, WebSite
from phpgw.settings.server_address import TcpServer, UnixServer

_PLAIN = re.compile(r"[A-Za-z0-9_./:@=,+~-]+")
_SNIPPET = "/etc/nginx/snippets/phpgw.conf"
_SITE = "/etc/nginx/conf.d/phpgw.conf"
_AUTHORITIES = "/etc/ssl/certs/ca-certificates.crt"
# What Nginx itself needs: log files, ports, PHP-FPM.
_RESERVE = 512
_DEFAULT_FASTCGI_TIMEOUT = 60


def make_location(gateway: ProxiedGateway) -> str:
    """Return a location, for a file that a ``server {}`` includes.

    :raises CannotWrite: if Nginx cannot be told so.
    """
    return joined(
        [
            *comment('The WebSocket of phpgw, as "phpgw nginx" prints it.'),
            "#",
            *comment(f"Save it as {_SNIPPET}, and include it in the server {{}} of your site:"),
            *example(["include snippets/phpgw.conf;"]),
            *explain_missing(gateway.missing),
            *_worker_connections(gateway),
            "",
            *_location(gateway),
        ]
    )


def make_site(gateway: ProxiedGateway, site: WebSite) -> str:
    """Return a whole site, for a file that ``http {}`` includes.

    :raises CannotWrite: if Nginx cannot be told so.
    """
    return joined(
        [
            *comment(f'{site.name} with phpgw, as "phpgw nginx" prints it.'),
            "#",
            *comment(f"Save it as {_SITE}. Nginx includes it in http {{}}."),
            *explain_missing((*gateway.missing, *site.missing)),
            *_worker_connections(gateway),
            "",
            "server {",
            *indented(
                [
                    "listen 80;",
                    "listen [::]:80;",
                    f"server_name {site.name};",
                    "return 301 https://$host$request_uri;",
                ]
            ),
            "}",
            "",
            "server {",
            *indented(_public(gateway, site)),
            "}",
            *_internal(site),
        ]
    )


def _worker_connections(gateway: ProxiedGateway) -> list[str]:
    """Return a comment about a limit that is set elsewhere."""
    text = "Each client takes two connections of an Nginx worker."
    if not gateway.max_connections:
        return ["#", *comment(text)]
    count = 2 * gateway.max_connections + _RESERVE
    return [
        "#",
        *comment(
            f"{text} For the {gateway.max_connections} clients that the gateway accepts "
            "(max-connections), set in /etc/nginx/nginx.conf:"
        ),
        *example([f"worker_rlimit_nofile {count};", f"events {{ worker_connections {count}; }}"]),
    ]


def _location(gateway: ProxiedGateway) -> list[str]:
    wait = (
        "Nginx cuts a connection that is quiet for so long: phpgw's pings have been missing for "
        "some time then."
        if gateway.is_pinged
        else "Nginx cuts a connection that is quiet for so long: phpgw sends no pings."
    )
    return [
        *comment(
            f"Only {gateway.ws_path} reaches phpgw. Its API (/send, /stats) is for PHP alone, so "
            "never pass / on."
        ),
        f"location = {gateway.ws_path} {{",
        *indented(
            [
                f"proxy_pass {_proxy_pass(gateway)};",
                "proxy_http_version 1.1;",
                *_tls(gateway),
                *comment("These headers are for one hop only: Nginx does not pass them on itself."),
                "proxy_set_header Upgrade $http_upgrade;",
                'proxy_set_header Connection "upgrade";',
                *comment("phpgw compares it with Origin, to tell this site's pages from others."),
                "proxy_set_header Host $host;",
                *comment("Set, not extended: what the browser says of itself is not believed."),
                "proxy_set_header X-Forwarded-For $remote_addr;",
                "proxy_set_header X-Forwarded-Proto $scheme;",
                "proxy_set_header X-Forwarded-Host $host;",
                'proxy_set_header Forwarded "";',
                *comment(wait),
                f"proxy_read_timeout {gateway.quiet_seconds}s;",
            ]
        ),
        "}",
    ]


def _proxy_pass(gateway: ProxiedGateway) -> str:
    scheme = "https" if gateway.uses_tls else "http"
    if isinstance(gateway.server, UnixServer):
        # Behind the next colon is the path of the URL; what begins with a dollar is a variable.
        path = checked(gateway.server.path, forbidden=":$")
        return _quoted(f"{scheme}://unix:{path}:{gateway.ws_path}")
    return f"{scheme}://{host_and_port(gateway.server.host, gateway.server.port)}{gateway.ws_path}"


def _tls(gateway: ProxiedGateway) -> list[str]:
    """Return how the gateway's certificate is checked."""
    if not gateway.uses_tls or gateway.is_local or not isinstance(gateway.server, TcpServer):
        return []
    return [
        "proxy_ssl_verify on;",
        f"proxy_ssl_trusted_certificate {_AUTHORITIES};",
        f"proxy_ssl_name {gateway.server.host};",
        "proxy_ssl_server_name on;",
    ]


def _public(gateway: ProxiedGateway, site: WebSite) -> list[str]:
    """Return the directives of the server for browsers."""
    hidden = []
    script = site.hidden_script(gateway.ws_path)
    if script is not None:
        hidden = [
            "",
            *comment(
                "Whoever can POST to this script can claim to be any client. ^~ covers paths that "
                "go on behind its name, too."
            ),
            f"location {'=' if script.is_route else '^~'} {_quoted(script.path)} {{",
            *indented(["return 404;"]),
            "}",
        ]
    return [
        "listen 443 ssl;",
        "listen [::]:443 ssl;",
        f"server_name {site.name};",
        f"ssl_certificate {_value(site.certificate_path)};",
        f"ssl_certificate_key {_value(site.key_path)};",
        "ssl_protocols TLSv1.2 TLSv1.3;",
        "",
        f"root {_value(site.root)};",
        "index index.php index.html;",
        "",
        *_location(gateway),
        *hidden,
        "",
        "location / {",
        *indented(["try_files $uri $uri/ =404;"]),
        "}",
        "",
        r"location ~ \.php$ {",
        *indented(["try_files $uri =404;", *_fastcgi(site)]),
        "}",
    ]


def _internal(site: WebSite) -> list[str]:
    """Return the server to which the gateway posts events."""
    script = site.script
    if script is None or script.port is None:
        return []
    return [
        "",
        *comment("Here phpgw posts events (php-url)."),
        "server {",
        *indented(
            [
                *comment(
                    "Never a public address: this keeps others out. allow and deny cannot, "
                    "because they look at the address that real_ip has set."
                ),
                f"listen 127.0.0.1:{script.port};",
                f"root {_value(site.root)};",
                "",
                *comment("PHP's REMOTE_ADDR is the browser's, as phpgw reports it."),
                "set_real_ip_from 127.0.0.1;",
                "real_ip_header X-Forwarded-For;",
                "",
                *comment(
                    "phpgw keeps connections for 60 s after their last event, and should be the "
                    "one that closes them: what is sent just then has to be sent again."
                ),
                "keepalive_timeout 75s;",
                "keepalive_requests 100000;",
                "",
                *comment("max-message-size, three times as large in a form, and a reserve."),
                f"client_max_body_size {script.body_megabytes}m;",
                "",
                *comment("Otherwise there would be a line for each event."),
                "access_log off;",
                "",
                f"location = {_quoted(script.path)} {{",
                *indented([*_route(script), *_fastcgi(site), *_https(), *_patience(script)]),
                "}",
                "",
                "location / {",
                *indented(["return 404;"]),
                "}",
            ]
        ),
        "}",
    ]


def _fastcgi(site: WebSite) -> list[str]:
    server = site.php_fpm
    address = (
        f"unix:{checked(server.path, forbidden=':$')}"
        if isinstance(server, UnixServer)
        else host_and_port(server.host, server.port)
    )
    return ["include fastcgi.conf;", f"fastcgi_pass {_quoted(address)};"]


def _route(script: EventScript) -> list[str]:
    return ["rewrite ^ /index.php break;"] if script.is_route else []


def _https() -> list[str]:
    return [
        *comment("The browser's connection is secure, though this one is not."),
        "fastcgi_param HTTPS on;",
    ]


def _patience(script: EventScript) -> list[str]:
    if script.timeout <= _DEFAULT_FASTCGI_TIMEOUT:
        return []
    return [
        *comment("Longer than php-timeout: phpgw should be the one that gives up."),
        f"fastcgi_read_timeout {script.timeout}s;",
    ]


def _value(text: str) -> str:
    """Return a value of a directive that replaces variables."""
    return _quoted(checked(text, forbidden="$"))


def _quoted(text: str) -> str:
    """Return a text with quotes, if it needs them."""
    if _PLAIN.fullmatch(checked(text)):
        return text
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
