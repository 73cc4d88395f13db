"""``python -m packages.image``: build the image of deploy/docker/Dockerfile with buildah.

No daemon is needed, and no registry: the base image is made by debootstrap, and gets the name that
the Dockerfile asks for.
"""

import re
import shutil
import sys
from pathlib import Path

from packages.chroot import CERTIFICATES, CommandFailed, base_system, run, working_directory
from packages.deb import DIST
from tests.support.container_files import DOCKERFILE
from tests.support.real.gateway import ROOT

ARCHIVE = DIST / "phpgw-image.tar"
_PIP_CONF = "[global]\ncert = /run/host/certificates.pem\n"


def main() -> int:
    """Build the image; return the exit status."""
    try:
        with working_directory() as directory:
            _Buildah(directory).build()
    except CommandFailed as error:
        print(error, file=sys.stderr)
        return 1
    print(
        f"{ARCHIVE.relative_to(ROOT)}: {ARCHIVE.stat().st_size / 1e6:.0f} MB; docker load reads it"
    )
    return 0


class _Buildah:
    """buildah with a store of its own.

    :param directory: where it may write.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._store = ("--root", directory / "store", "--runroot", directory / "run")

    def build(self) -> None:
        """Build the image, and write it as an archive."""
        self._make_base()
        # The format of Docker: that of OCI has no HEALTHCHECK.
        build = ("build", "--isolation=chroot", "--pull-never", "--format=docker", "--tag=phpgw")
        self._run(*build, *self._trust(), f"--file={DOCKERFILE}", ROOT)
        ARCHIVE.unlink(missing_ok=True)
        DIST.mkdir(exist_ok=True)
        self._run("push", "phpgw", f"docker-archive:{ARCHIVE}:phpgw:latest")

    def _make_base(self) -> None:
        """Make the image that the Dockerfile begins with."""
        [name, release] = _base_image()
        container = self._run("from", "scratch").strip()
        self._run("add", container, base_system(release), "/")
        self._run("commit", container, name)
        self._run("rm", container)

    def _trust(self) -> list[str]:
        """Return options with which pip trusts the package index as it does on this machine."""
        if not CERTIFICATES.exists():
            return []
        host = self._directory / "host"
        host.mkdir()
        (host / "pip.conf").write_text(_PIP_CONF)
        shutil.copy(CERTIFICATES, host / "certificates.pem")
        return [f"--volume={host}:/run/host:ro", f"--volume={host}/pip.conf:/etc/pip.conf:ro"]

    def _run(self, *command: str | Path) -> str:
        return run("buildah", *self._store, "--storage-driver=vfs", *command)


def _base_image() -> tuple[str, str]:
    """Return the name of the Dockerfile's base image, and the release of Debian that it is."""
    found = re.search(r"^FROM (debian:([a-z]+)-slim)$", DOCKERFILE.read_text(), re.MULTILINE)
    assert found is not None, "the image is not made from Debian"
    return f"docker.io/library/{found[1]}", found[2]


if __name__ == "__main__":
    sys.exit(main())
