"""Tests for :mod:`phpgw.checks.processes`."""

import os
import re
import shutil
import socket
import subprocess

from twisted.trial.unittest import SynchronousTestCase

from phpgw.checks.processes import Process, listener_of, peer_of, processes_titled, program_of
from tests.support.real.process import free_port
from tests.support.short_directory import short_directory


class ProcessTests(SynchronousTestCase):
    def test_unix(self) -> None:
        path = str(short_directory(self) / "a.sock")
        with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as client:
            server.bind(path)
            server.listen()
            client.connect(path)
            found = peer_of(client)
        assert found is not None
        self.assertEqual(os.getpid(), found.pid)
        self.assertIn("python", found.title)

    def test_tcp(self) -> None:
        # Not an ephemeral one, which another process could take when it is free again.
        port = free_port()
        with socket.create_server(("127.0.0.1", port)):
            found = listener_of(port)
            assert found is not None
            self.assertEqual(os.getpid(), found.pid)
        self.assertIsNone(listener_of(port))

    def test_titles(self) -> None:
        """Those of other users do not count, since anybody can give a process any title."""
        pattern = re.compile("phpgw-title-of-a-test .*")
        users = (None, 65534) if not os.geteuid() else (None,)
        for user in users:
            command = [f"phpgw-title-of-a-test {user}", "30"]
            process = subprocess.Popen(command, executable="/bin/sleep", user=user)
            self.addCleanup(process.wait)
            self.addCleanup(process.kill)
        [found] = processes_titled(pattern)
        self.assertEqual("phpgw-title-of-a-test None 30", found.title)

    def test_program(self) -> None:
        """It may be run if others cannot have written it."""
        directory = short_directory(self)
        program = directory / "sleep"
        shutil.copy("/bin/sleep", program)
        with subprocess.Popen([program, "30"]) as started:
            self.addCleanup(started.kill)
            process = Process(started.pid, "sleep")
            for mode, expected in ((0o755, str(program)), (0o777, None), (0o775, None)):
                program.chmod(mode)
                self.assertEqual(expected, program_of(process))
            program.chmod(0o755)
            if not os.geteuid():
                os.chown(program, 65534, -1)
                self.assertIsNone(program_of(process))
            program.unlink()
            shutil.copy("/bin/sleep", program)
            self.assertIsNone(program_of(process), "another program")
            started.kill()
        self.assertIsNone(program_of(process))

    def test_text(self) -> None:
        for title, text in (
            ("nginx: master process /usr/sbin/nginx", "nginx (pid 7)"),
            ("/usr/bin/python3 -m http.server", "python3 (pid 7)"),
        ):
            self.assertEqual(text, str(Process(7, title)))
