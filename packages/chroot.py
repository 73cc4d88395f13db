"""A Debian system in a directory, made by debootstrap."""

import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.support.real.gateway import ROOT

# Archives of base systems, which are made once a day.
_CACHE = ROOT / "build" / "packages"
_SECONDS_FRESH = 24 * 60 * 60
# Where systems are unpacked: neither in memory, nor where the build of a wheel looks for files.
_WORK = Path("/var/tmp")
# The certificates that this machine trusts: its package index may have one of their own.
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class CommandFailed(Exception):
    """A program failed; the text has all that it printed."""


class Chroot:
    """A system in a directory.

    :ivar root: the directory.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def run(self, *command: str, env: Mapping[str, str] | None = None) -> str:
        """Run a program in the system as root, and wait for its end.

        :returns: its output.
        :raises CommandFailed: if it fails.
        """
        variables = {"PATH": _PATH, "LC_ALL": "C.UTF-8", "HOME": "/root", **(env or {})}
        return run("chroot", self.root, *command, env=variables)

    def apt(self, *arguments: str) -> None:
        """Run apt-get, without questions."""
        silent = {"DEBIAN_FRONTEND": "noninteractive"}
        self.run("apt-get", "-qq", "--yes", "--no-install-recommends", *arguments, env=silent)

    def trust(self) -> dict[str, str]:
        """Return variables with which pip trusts the package index as it does on this machine."""
        if not CERTIFICATES.exists():
            return {}
        shutil.copy(CERTIFICATES, self.root / "tmp" / "certificates.pem")
        return {"PIP_CERT": "/tmp/certificates.pem"}


def run(*command: str | Path, env: Mapping[str, str] | None = None) -> str:
    """Run a program, and wait for its end.

    :param env: its environment, if it is not ours.
    :returns: its output.
    :raises CommandFailed: if it fails.
    """
    ended = subprocess.run(
        command, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    if ended.returncode:
        line = " ".join(map(str, command))
        raise CommandFailed(f"{ended.stdout}{ended.stderr}{line}: status {ended.returncode}")
    return ended.stdout


@contextmanager
def fresh_system(release: str) -> Iterator[Chroot]:
    """Make a minimal system of a Debian release, with ``/proc`` and names; remove it in the end."""
    with working_directory() as directory:
        root = directory / release
        root.mkdir()
        run("tar", "--extract", "--file", base_system(release), "--directory", root)
        shutil.copy("/etc/resolv.conf", root / "etc" / "resolv.conf")
        run("mount", "--types", "proc", "proc", root / "proc")
        try:
            system = Chroot(root)
            system.apt("update")
            yield system
        finally:
            run("umount", "--lazy", root / "proc")


@contextmanager
def working_directory() -> Iterator[Path]:
    """Make a directory for systems; remove it in the end, and nothing that is mounted in it."""
    directory = Path(tempfile.mkdtemp(prefix="phpgw-packages-", dir=_WORK))
    directory.chmod(0o755)
    try:
        yield directory
    finally:
        run("rm", "--recursive", "--force", "--one-file-system", directory)


def base_system(release: str) -> Path:
    """Return an archive of a minimal system of a Debian release."""
    archive = _CACHE / f"{release}.tar"
    if archive.exists() and time.time() - archive.stat().st_mtime < _SECONDS_FRESH:
        return archive
    with working_directory() as directory:
        root, new = directory / "root", directory / archive.name
        run("debootstrap", "--variant=minbase", release, root)
        shutil.rmtree(root / "var/cache/apt/archives")
        run("tar", "--create", "--file", new, "--directory", root, ".")
        _CACHE.mkdir(parents=True, exist_ok=True)
        shutil.move(new, archive)
    return archive
