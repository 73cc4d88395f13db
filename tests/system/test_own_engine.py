"""The engine of the gateway's own, with real processes."""

import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

from twisted.internet import reactor

from phpgw.bus.own_engine import manager, program
from phpgw.bus.own_engine.manager import OwnEngine, make_own_engine
from phpgw.settings.option import InvalidOption
from tests.support.real.bus_test_case import RealBusTestCase

_GATEWAY = """
import sys
from twisted.internet import reactor
from phpgw.bus.own_engine.manager import make_own_engine
engine = make_own_engine(reactor)
engine.startService()
engine.when_ready().addCallback(lambda _: print(engine.pid, engine.socket, flush=True))
reactor.run()
"""


class OwnEngineTests(RealBusTestCase):
    async def start_engine(self) -> OwnEngine:
        engine = make_own_engine(reactor)
        engine.startService()
        self.addCleanup(engine.stopService)
        await engine.when_ready()
        return engine

    async def test_used(self) -> None:
        """It is ready within a moment, for this user alone, and a bus uses it."""
        engine = await self.start_engine()
        self.assertEqual(0o600, stat.S_IMODE(engine.socket.stat().st_mode))
        self.assertEqual(0o700, stat.S_IMODE(engine.socket.parent.stat().st_mode))
        bus, _ = await self.start_bus(f"unix:{engine.socket}")
        self.assertEqual(0, await bus.publish(b"all", b""))
        self.assertIsNone(engine.obstacle())

    async def test_stopped(self) -> None:
        """After a stop, nothing of it is left."""
        engine = await self.start_engine()
        pid = engine.pid
        assert pid is not None
        await engine.stopService()
        self.assertFalse(engine.socket.parent.exists())
        self.assertRaises(ProcessLookupError, os.kill, pid, 0)
        self.assertIn("not ready", engine.obstacle() or "")

    async def test_killed(self) -> None:
        """If it is killed, it is started again at the same place, and buses come back."""
        engine = await self.start_engine()
        bus, listener = await self.start_bus(f"unix:{engine.socket}")
        await bus.subscribe(b"all")
        pid = engine.pid
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        await self.until(lambda: listener.connections == 2, "connection")
        self.assertEqual(1, await bus.publish(b"all", b""))
        self.assertEqual(1, engine.restarts)
        self.assertNotEqual(pid, engine.pid)

    async def test_guardian_killed(self) -> None:
        """If its guardian is killed, it is replaced, so that it never outlives the gateway."""
        engine = await self.start_engine()
        pid = engine.pid
        group = subprocess.run(
            ["pgrep", "-f", f"guardian.py {engine.socket.parent}"], capture_output=True, text=True
        )
        for each in group.stdout.split():
            os.kill(int(each), signal.SIGKILL)
        await self.until(lambda: engine.pid not in (pid, None), "replacement")
        await engine.when_ready()

    async def test_gateway_killed(self) -> None:
        """If the gateway is killed, the engine ends, and its directory goes."""
        gateway = subprocess.Popen(
            [sys.executable, "-c", _GATEWAY], stdout=subprocess.PIPE, text=True
        )
        assert gateway.stdout is not None
        pid, socket = gateway.stdout.readline().split()
        gateway.kill()
        gateway.wait()
        gateway.stdout.close()

        def is_gone() -> bool:
            return not Path(f"/proc/{pid}").exists() and not Path(socket).parent.exists()

        await self.until(is_gone, "end of the engine")

    async def test_fails_at_once(self) -> None:
        """A program that ends at once is started again after longer and longer times."""
        engine = OwnEngine(reactor, Path("/bin/false"))
        engine.startService()
        await self.until(lambda: engine.restarts >= 3, "restarts")
        await engine.stopService()
        self.assertLess(engine.restarts, 6)

    def test_none_installed(self) -> None:
        """Without any engine, the start fails with the name of the package."""
        self.patch(manager, "find_engine", lambda: None)
        error = self.assertRaises(InvalidOption, make_own_engine, reactor)
        self.assertIn("apt-get install redis-server", str(error))
        self.patch(program, "_OTHER_DIRECTORIES", ())
        self.patch(os, "environ", {"PATH": "/nowhere"})
        self.assertIsNone(program.find_engine())
