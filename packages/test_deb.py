"""The Debian package in ``dist/``: lintian judges it, and a fresh system installs it."""

import os
import re
import shutil
from pathlib import Path

from twisted.internet.threads import deferToThread

from packages.chroot import Chroot, fresh_system, run
from packages.deb import DIST, RELEASE, package_version
from phpgw import __version__
from tests.support.real.process import Process, accepts, find, free_port
from tests.support.real.system_test_case import SystemTestCase
from tests.support.real.websocket_client import Connection

_CONFIGURATION = "etc/phpgw.toml"
_UNIT = "usr/lib/systemd/system/phpgw.service"
_ECHO = "<?php echo $_POST['message'], ', says PHP';"


def package(system: Chroot) -> Path:
    """Return the path of the package for a system."""
    [path] = DIST.glob(f"phpgw_{package_version(system)}_*.deb")
    return path


class _Service(Process):
    """The service, as its unit in an installed package has it; its user is the package's."""

    name = "service"
    stop_timeout = 20.0

    def __init__(self, directory: Path, root: Path, port: int) -> None:
        self._port = port
        unit = (root / _UNIT).read_text()
        [command] = re.findall(r"^ExecStart=(.*)$", unit, re.MULTILINE)
        [variable] = re.findall(r"^Environment=(.*)$", unit, re.MULTILINE)
        name, _, value = variable.partition("=")
        as_user = [find(["chroot"], "coreutils"), "--userspec=phpgw:phpgw", str(root)]
        super().__init__(directory, [*as_user, *command.split()], env={name: value})

    def is_ready(self) -> bool:
        return accepts(self._port)

    def user(self) -> int:
        """Return the number of its user."""
        return Path(f"/proc/{self.pid}").stat().st_uid


class DebTests(SystemTestCase):
    timeout = 300

    async def test_life(self) -> None:
        """The package is installed and runs; it is upgraded, removed, and leaves nothing.

        lintian finds no error and no warning in it.
        """
        with fresh_system(os.environ.get("RELEASE", RELEASE)) as system:
            self.assertEqual("", run("lintian", "--allow-root", package(system)))
            shutil.copy(package(system), system.root / "tmp" / "phpgw.deb")
            system.apt("install", "/tmp/phpgw.deb")
            self.assertEqual(f"phpgw {__version__}\n", system.run("phpgw", "version"))
            self.assertIn("\nphpgw:x:", (system.root / "etc/passwd").read_text())

            # It runs as its unit says, with its own configuration, changed for this test.
            configuration = self.configure(system.root)
            service = self.start_service(system.root)
            client = await self.talk()
            status = system.run("phpgw", "status")
            self.assertRegex(status, r"Ready +yes\n")
            user = system.run("id", "--user", "phpgw")
            self.assertEqual(int(user), service.user())

            # Upgraded: what runs goes on until it is restarted, and the configuration stays.
            await deferToThread(self.upgrade, system)
            self.assertEqual(configuration, (system.root / _CONFIGURATION).read_text())
            client.send("still here")
            self.assertEqual("still here, says PHP", await client.receive())
            self.assertEqual(0, await deferToThread(service.stop))
            service = self.start_service(system.root)
            await self.talk()
            self.assertEqual(0, await deferToThread(service.stop))

            system.apt("remove", "phpgw")
            self.assertEqual({f"/{_CONFIGURATION}"}, left(system))
            system.apt("purge", "phpgw")
            self.assertEqual(set(), left(system))
            self.assertNotIn("phpgw", (system.root / "etc/passwd").read_text())

    def configure(self, root: Path) -> str:
        """Change the configuration, as an administrator does, for PHP and ports of this test."""
        php = self.start_php({"echo.php": _ECHO}, socket="tcp")
        self.port, api_port = free_port(), free_port()
        path = root / _CONFIGURATION
        text = path.read_text()
        for old, new in {
            'php-url = "http://127.0.0.1:8088/websocket.php"': (
                f'php-script = "{php.document_root}/echo.php"\nphp-fpm = "{php.endpoint}"'
            ),
            'listen = "127.0.0.1:8080"': f'listen = "127.0.0.1:{self.port}"',
            "tcp:8081:": f"tcp:{api_port}:",
        }.items():
            self.assertIn(f"{old}", text)
            text = text.replace(old, new)
        path.write_text(text)
        return text

    def start_service(self, root: Path) -> _Service:
        return self._started(_Service(self._directory_for("service"), root, self.port))

    async def talk(self) -> Connection:
        """Return a client that had an answer from PHP."""
        client = await self.connect(f"ws://127.0.0.1:{self.port}/ws")
        client.send("hello")
        self.assertEqual("hello, says PHP", await client.receive())
        return client

    def upgrade(self, system: Chroot) -> None:
        """Install a newer package, which has the same in it."""
        newer = f"{__version__}-2"
        system.run("dpkg-deb", "--raw-extract", "/tmp/phpgw.deb", "/tmp/newer")
        control = system.root / "tmp/newer/DEBIAN/control"
        text = re.sub(r"^Version: .*$", f"Version: {newer}", control.read_text(), flags=re.M)
        control.write_text(text)
        system.run("dpkg-deb", "--root-owner-group", "--build", "/tmp/newer", "/tmp/newer.deb")
        system.run("rm", "-r", "/tmp/newer")
        system.apt("install", "/tmp/newer.deb")
        show = ("dpkg-query", "--show", "--showformat=${Version}", "phpgw")
        self.assertEqual(newer, system.run(*show))


def left(system: Chroot) -> set[str]:
    """Return the files of the package that are in the system, beside the package manager's own."""
    found = system.run("find", "/etc", "/usr", "/var/lib/systemd", "-name", "*phpgw*")
    return set(found.split())
