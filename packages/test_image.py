"""The image in ``dist/``, run as a container is: as its user, without capabilities, read-only."""

import json
import os
import tarfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from twisted.internet.threads import deferToThread

from packages.chroot import run, working_directory
from packages.image import ARCHIVE
from phpgw import __version__
from tests.support.real import command
from tests.support.real.process import Process, accepts, find, free_port
from tests.support.real.system_test_case import SystemTestCase

# The largest that an image may be above its base, in MB.
_MOST = 120
_ECHO = "<?php echo strlen($_POST['message']), ' bytes';"


class Image:
    """The image, its files being in a directory that is read-only.

    :ivar root: the directory.
    :ivar configuration: what the image says about its container.
    """

    def __init__(self, root: Path, configuration: dict[str, Any]) -> None:
        self.root = root
        self.configuration = configuration

    def command(self, arguments: Sequence[str]) -> list[str]:
        """Return a command line that runs this in the container."""
        user, _, group = self.configuration["User"].partition(":")
        return [
            *(find(["chroot"], "coreutils"), str(self.root)),
            *("setpriv", f"--reuid={user}", f"--regid={group}", "--clear-groups"),
            *("--inh-caps=-all", "--bounding-set=-all", "--no-new-privs", "--", *arguments),
        ]

    def environment(self, settings: dict[str, str]) -> dict[str, str]:
        """Return the variables of the container, with these settings."""
        own = dict(variable.split("=", 1) for variable in self.configuration["Env"])
        return {**own, **settings}


@contextmanager
def unpacked() -> Iterator[Image]:
    """Unpack the image; its directory is removed in the end."""
    with working_directory() as directory, tarfile.open(ARCHIVE) as archive:
        root = directory / "root"
        root.mkdir()
        [manifest] = json.loads(_content(archive, "manifest.json"))
        for layer in manifest["Layers"]:
            archive.extract(layer, directory, filter="data")
            # GNU tar keeps owners, permissions and devices.
            run("tar", "--extract", "--file", directory / layer, "--directory", root)
        image = json.loads(_content(archive, manifest["Config"]))
        run("mount", "--bind", "-o", "ro", root, root)
        try:
            yield Image(root, image["config"])
        finally:
            run("umount", "--lazy", root)


def _content(archive: tarfile.TarFile, name: str) -> bytes:
    file = archive.extractfile(name)
    assert file is not None, name
    return file.read()


class _Container(Process):
    """The image's command."""

    name = "container"
    stop_timeout = 20.0

    def __init__(self, directory: Path, image: Image, settings: dict[str, str], port: int) -> None:
        self._port = port
        own = image.configuration
        command = image.command([*own["Entrypoint"], *own["Cmd"]])
        super().__init__(directory, command, env=image.environment(settings))

    def is_ready(self) -> bool:
        return accepts(self._port)


class ImageTests(SystemTestCase):
    timeout = 120

    async def test_container(self) -> None:
        """It runs without root, capabilities or a writable file; a message goes through."""
        php = self.start_php({"echo.php": _ECHO}, socket="tcp")
        port, api_port = free_port(), free_port()
        settings = {
            "PHPGW_LISTEN": f"tcp:{port}:interface=127.0.0.1",
            "PHPGW_API_LISTEN": f"tcp:{api_port}:interface=127.0.0.1",
            "PHPGW_PHP_SCRIPT": f"{php.document_root}/echo.php",
            "PHPGW_PHP_FPM": php.endpoint,
        }
        with unpacked() as image:
            environment = image.environment(settings)

            async def status(*arguments: str) -> int:
                ended = await command.run(image.command(arguments), env=environment)
                return ended.status

            health = image.configuration["Healthcheck"]["Test"]
            self.assertEqual("CMD", health[0])
            self.assertEqual(1, await status(*health[1:]))
            container = self._started(
                _Container(self.directory / "container", image, settings, port)
            )
            self.assertEqual(0, await status(*health[1:]))
            self.assertEqual(0, await status("phpgw", "status"))
            self.assertNotEqual(0, await status("touch", "/tmp/file"))
            state = Path(f"/proc/{container.pid}/status").read_text()
            self.assertIn("Uid:\t10001\t10001\t10001\t10001\n", state)
            self.assertIn("CapBnd:\t0000000000000000\n", state)

            client = await self.connect(f"ws://127.0.0.1:{port}/ws")
            for size in (5, 1_000_000):
                client.send("x" * size)
                self.assertEqual(f"{size} bytes", await client.receive())
            # docker stop
            self.assertEqual("SIGTERM", image.configuration["StopSignal"])
            stopped = deferToThread(container.stop)
            self.assertEqual(1001, (await client.closed).code)
            self.assertEqual(0, await stopped)

    async def test_contents(self) -> None:
        """It is small, has no pip, and its command is the one of this version."""
        with unpacked() as image:
            ended = await command.run(
                image.command(["phpgw", "version"]), env=image.environment({})
            )
            self.assertEqual(f"phpgw {__version__}\n", ended.stdout)
            self.assertEqual([], list((image.root / "opt").rglob("pip")))
            own = sum(
                os.lstat(path).st_size for path in (image.root / "opt").rglob("*") if path.is_file()
            )
            self.assertLess(own / 1e6, _MOST)
