"""A network in two parts, with a wire between them that can be cut; and a cluster on both sides."""

import os
import socket
import subprocess
from collections.abc import Callable
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any

from tests.support.real.faulty_proxy import FaultyProxy
from tests.support.real.gateway import Gateway
from tests.support.real.process import Process, find, free_port, wait_until
from tests.support.real.redis import Redis, Sentinel

_numbers = count(os.getpid())


def may_divide_networks() -> bool:
    """Return whether this process may make a network: that needs root, and ip(8)."""
    return os.geteuid() == 0


class DividedNetwork:
    """A network with a far side, which is a network namespace (namespaces(7)).

    UNIX sockets work across, also when it is cut: they are files.

    :ivar near: the address on this side.
    :ivar far: the address on the far side.
    """

    log = ""

    def __init__(self) -> None:
        number = next(_numbers) % 250
        self._namespace = f"phpgw-{number}"
        self._near_end, self._far_end = f"phpgw-{number}n", f"phpgw-{number}f"
        self.near, self.far = f"10.77.{number}.1", f"10.77.{number}.2"

    def start(self) -> "DividedNetwork":
        """Make it."""
        name, near, far = self._namespace, self._near_end, self._far_end
        _ip("netns", "add", name)
        _ip("link", "add", near, "type", "veth", "peer", "name", far, "netns", name)
        _ip("addr", "add", f"{self.near}/30", "dev", near)
        _ip("link", "set", near, "up")
        _ip("-n", name, "addr", "add", f"{self.far}/30", "dev", far)
        _ip("-n", name, "link", "set", "lo", "up")
        self.mend()
        return self

    def stop(self) -> None:
        """Remove it."""
        _ip("netns", "del", self._namespace)

    def cut(self) -> None:
        """Let nothing through. Connections that there are get no sign of it."""
        _ip("-n", self._namespace, "link", "set", self._far_end, "down")

    def mend(self) -> None:
        """Let everything through again."""
        _ip("-n", self._namespace, "link", "set", self._far_end, "up")

    def move(self, process: Process) -> None:
        """Have a process start on the far side."""
        program = find(["nsenter"], "util-linux")
        process.run_with(program, f"--net=/run/netns/{self._namespace}", "--")


class FarGateway(Gateway):
    """A gateway on the far side. Browsers and PHP reach it by its UNIX socket, always.

    :ivar port: a port on this side that leads to that socket.
    """

    def __init__(self, network: DividedNetwork, directory: Path, *arguments: str) -> None:
        path = directory / "gateway.sock"
        super().__init__(directory, *arguments, "--listen", f"unix:{path}:mode=600")
        network.move(self)
        self._socket = path
        self.proxy = FaultyProxy(str(path))
        self.port = self.proxy.port

    def is_ready(self) -> bool:
        """Return whether its sockets are open."""
        with suppress(OSError), socket.socket(socket.AF_UNIX) as attempt:
            attempt.connect(str(self._socket))
            return True
        return False


class DividedEngines:
    """A master and a Sentinel on the far side, and two replicas and two Sentinels on this one.

    When the wire is cut, the majority makes one of the replicas the master. The old one takes no
    data any more, before the leases of the nodes on this side have ended there.

    :param start: starts a process, and has it stopped in the end.
    :ivar url: for all gateways.
    """

    def __init__(self, directory: Path, start: Callable[[Any], Any]) -> None:
        self.network: DividedNetwork = start(DividedNetwork())
        near, far = self.network.near, self.network.far
        common = {
            "protected-mode": "no",
            "min-replicas-to-write": "1",
            "min-replicas-max-lag": "3",
        }
        port = free_port()
        self.master = Redis(directory / "far", port=port, config={**common, "bind": far})
        self.network.move(self.master)
        start(self.master)
        replica = {**common, "bind": near, "replicaof": f"{far} {port}"}
        self.replicas: list[Redis] = [
            start(Redis(directory / f"near-{number}", port=free_port(), config=replica))
            for number in range(2)
        ]
        self.sentinels = [
            Sentinel(directory / f"sentinel-{number}", self.master, host=host, master_host=far)
            for number, host in enumerate((far, near, near))
        ]
        self.network.move(self.sentinels[0])
        for sentinel in self.sentinels:
            start(sentinel)
        wait_until(self._agree, 30, "agreement of the Sentinels")
        hosts = ",".join(f"{each.host}:{each.port}" for each in self.sentinels)
        self.url = f"redis+sentinel://{hosts}/phpgw"

    def _agree(self) -> bool:
        return all(
            each.log.count("+sentinel sentinel") >= 2 and each.log.count("+slave slave") >= 2
            for each in self.sentinels
        )

    @property
    def new_master(self) -> Redis | None:
        """Return the replica that has become the master; ``None`` if none has."""
        for each in self.replicas:
            role = each.ask("ROLE")
            if isinstance(role, list) and role[0] == b"master":
                return each
        return None


def _ip(*words: str) -> None:
    subprocess.run([find(["ip"], "iproute2"), *words], check=True, timeout=10)
