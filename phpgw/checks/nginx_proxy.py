"""An Nginx of this machine before the gateway: its limits, as ``nginx -T`` prints them."""

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import attrs

from phpgw.checks.finding import Finding, Subject
from phpgw.checks.processes import Process, processes_titled
from phpgw.checks.situation import Situation
from phpgw.settings.server_address import TcpServer, UnixServer, parse_server_address

PROXY_TIMEOUT = Subject("proxy-timeout")
PROXY_CONNECTIONS = Subject("proxy-connections")
_TIMEOUT = 5.0
_MASTER = re.compile(r"nginx: master process (?P<command>.+)")
_FILE = re.compile(r"(?:^| )(-[cp]) (\S+)")
_COMMENT = re.compile(r"^\s*#.*$", re.MULTILINE)
_DIRECTIVE = re.compile(r"(?<!\w)(proxy_read_timeout|worker_connections) ([0-9]+)([smhd]?);")
_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}
# By default: ngx_http_proxy_module, ngx_core_module.
_DEFAULTS = {"proxy_read_timeout": 60, "worker_connections": 512}


@attrs.frozen
class NginxConfig:
    """The configuration of a running Nginx.

    :ivar read_timeout: the shortest ``proxy_read_timeout``, in seconds.
    :ivar connections: ``worker_connections``.
    """

    read_timeout: int
    connections: int


def check_nginx(situation: Situation) -> Iterator[Finding]:
    """Yield whether the limits of an Nginx before the gateway fit; nothing if there is none."""
    if not situation.is_here:
        return
    for config in _find_configs(situation):
        yield _check_timeout(situation.settings["ping-interval"], config)
        yield _check_connections(situation.settings["max-connections"], config)
        return


def parse_config(text: str) -> NginxConfig:
    """Return the limits in a configuration, as ``nginx -T`` prints it."""
    found: dict[str, list[int]] = {name: [] for name in _DEFAULTS}
    for name, number, unit in _DIRECTIVE.findall(_COMMENT.sub("", text)):
        found[name].append(int(number) * _UNITS[unit])
    limits = {name: min(found[name], default=default) for name, default in _DEFAULTS.items()}
    return NginxConfig(limits["proxy_read_timeout"], limits["worker_connections"])


def _find_configs(situation: Situation) -> Iterator[NginxConfig]:
    """Yield the configurations that name one of the gateway's addresses."""
    addresses = [*_addresses(situation)]
    for master in processes_titled(_MASTER):
        text = _dump(master)
        if any(address in text for address in addresses):
            yield parse_config(text)


def _addresses(situation: Situation) -> Iterator[str]:
    for endpoint in situation.settings["listen"]:
        address = parse_server_address(endpoint)
        server = None if address is None else address.server
        if isinstance(server, UnixServer):
            yield f"unix:{server.path}"
        elif isinstance(server, TcpServer):
            host = f"[{server.host}]" if ":" in server.host else server.host
            yield from (f"{host}:{server.port}", f"localhost:{server.port}")


def _dump(master: Process) -> str:
    """Return the configuration of a running Nginx; nothing if it may not be read."""
    if os.geteuid():
        return ""
    try:
        binary = str(Path(f"/proc/{master.pid}/exe").readlink())
        files = [word for pair in _FILE.findall(master.title) for word in pair]
        ended = subprocess.run(
            [binary, "-T", "-q", *files],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_TIMEOUT,
            check=False,
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return ended.stdout


def _check_timeout(ping_interval: float, config: NginxConfig) -> Finding:
    seen = f"proxy_read_timeout {config.read_timeout}s, --ping-interval {ping_interval:g}"
    if not ping_interval or config.read_timeout <= ping_interval:
        return PROXY_TIMEOUT.wrong(
            f"Nginx closes a silent connection after {config.read_timeout} s, before a ping comes",
            why="Clients are disconnected again and again (code 1006).",
            fix=f"proxy_read_timeout {max(90, int(3 * ping_interval))}s;",
            where="Nginx's configuration, in the location of the WebSocket",
            seen=seen,
        )
    return PROXY_TIMEOUT.ok("Pings come before Nginx closes a silent connection", seen=seen)


def _check_connections(clients: int, config: NginxConfig) -> Finding:
    seen = f"worker_connections {config.connections}, --max-connections {clients}"
    # One to the browser, one to the gateway.
    if config.connections < 2 * clients:
        return PROXY_CONNECTIONS.note(
            f"A worker of Nginx has {config.connections} connections; {clients} clients take two "
            "each",
            why="Clients beyond that, and pages, are refused; with several workers, later.",
            fix=f"worker_connections {2 * clients + 512};",
            where="events {} in nginx.conf, with worker_rlimit_nofile; or a lower max-connections",
            seen=seen,
        )
    return PROXY_CONNECTIONS.ok("Nginx has connections for all clients", seen=seen)
