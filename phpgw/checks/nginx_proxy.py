"""An Nginx of this machine before the gateway: its limits, as ``nginx -T`` prints them."""

import os
import re
import subprocess
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

import attrs

from phpgw.checks.finding import Finding, Subject
from phpgw.checks.nginx_config import Block, parse_blocks, parse_time, upstreams_at
from phpgw.checks.processes import Process, processes_titled, program_of
from phpgw.checks.situation import Situation
from phpgw.settings.server_address import TcpServer, UnixServer, parse_server_address

PROXY_TIMEOUT = Subject("proxy-timeout")
PROXY_CONNECTIONS = Subject("proxy-connections")
_TIMEOUT = 5.0
_MASTER = re.compile(r"nginx: master process (?P<command>.+)")
_PROGRAMS = ("nginx", "openresty", "angie")
_FILE = re.compile(r"(?:^| )(-[cp]) (\S+)")
# By default: ngx_http_proxy_module, ngx_core_module.
_READ_TIMEOUT, _CONNECTIONS = 60.0, 512


@attrs.frozen
class NginxConfig:
    """The configuration of a running Nginx.

    :ivar read_timeout: the ``proxy_read_timeout`` where it passes on to the gateway, in seconds.
    :ivar connections: ``worker_connections``.
    """

    read_timeout: float
    connections: int


def check_nginx(situation: Situation) -> Iterator[Finding]:
    """Yield whether the limits of an Nginx before the gateway fit; nothing if there is none."""
    if not situation.is_here:
        return
    for config in _find_configs(situation):
        yield _check_timeout(situation.settings["ping-interval"], config)
        yield _check_connections(situation.settings["max-connections"], config)
        return


def parse_config(text: str, addresses: Sequence[str]) -> NginxConfig | None:
    """Return the limits in a configuration, as ``nginx -T`` prints it.

    :param addresses: those of the gateway.
    :returns: ``None`` if it does not pass anything on to the gateway.
    """
    blocks = parse_blocks(text)
    targets = {*addresses, *upstreams_at(blocks, addresses)}
    passing = [block for block in blocks if _passes_on(block, targets)]
    if not passing:
        return None
    # Others may be for the pages of the gateway, such as the console.
    for_handshakes = [block for block in passing if _is_for_handshakes(block)]
    timeout = min(_read_timeout(block, blocks) for block in for_handshakes or passing)
    numbers = [value for block in blocks for value in block.values("worker_connections") if value]
    connections = [int(value) for [value, *_] in numbers if value.isascii() and value.isdecimal()]
    return NginxConfig(timeout, min(connections, default=_CONNECTIONS))


def _passes_on(block: Block, targets: Collection[str]) -> bool:
    for [url, *_] in filter(None, block.values("proxy_pass")):
        target = url.partition("://")[2]
        # The path of a UNIX socket ends at a colon.
        name = ":".join(target.split(":")[:2]) if target.startswith("unix:") else target
        if name.partition("/")[0] in targets or name in targets:
            return True
    return False


def _is_for_handshakes(block: Block) -> bool:
    names = {value[0].lower() for value in block.values("proxy_set_header") if value}
    return "upgrade" in names


def _read_timeout(block: Block, blocks: Sequence[Block]) -> float:
    text = block.inherited("proxy_read_timeout")
    if text is None:
        # Its file may be included in others.
        https = (each for each in blocks if each.words == ("http",))
        text = next((each.inherited("proxy_read_timeout") for each in https), None)
    seconds = None if text is None else parse_time(text)
    return _READ_TIMEOUT if seconds is None else seconds


def _find_configs(situation: Situation) -> Iterator[NginxConfig]:
    """Yield the configurations that pass on to one of the gateway's addresses."""
    addresses = [*_addresses(situation)]
    for master in processes_titled(_MASTER):
        config = parse_config(_dump(master), addresses)
        if config is not None:
            yield config


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
    """Return the configuration of a running Nginx; nothing if it may not be read.

    It is run as root, and only if it is root's own.
    """
    if os.geteuid():
        return ""
    binary = program_of(master)
    if binary is None or Path(binary).name not in _PROGRAMS:
        return ""
    files = [word for pair in _FILE.findall(master.title) for word in pair]
    try:
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
    seen = f"proxy_read_timeout {config.read_timeout:g}s, --ping-interval {ping_interval:g}"
    if not ping_interval or config.read_timeout <= ping_interval:
        return PROXY_TIMEOUT.wrong(
            f"Nginx closes a silent connection after {config.read_timeout:g} s, "
            "before a ping comes",
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
