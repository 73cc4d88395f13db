"""``python -m packages.deb``: build the Debian package, for one release of Debian.

A virtual environment belongs to its path and to its Python. So it is made at the path that it will
have, /usr/lib/phpgw, in a system of that release.
"""

import argparse
import gzip
import re
import shutil
import sys
from email.utils import formatdate
from hashlib import md5
from pathlib import Path

from packages.chroot import Chroot, CommandFailed, fresh_system, run, working_directory
from phpgw import __version__
from tests.support.real.gateway import ROOT

DIST = ROOT / "dist"
RELEASE = "bookworm"
_DEPLOY = ROOT / "deploy"
_DEBIAN = _DEPLOY / "debian"
_HOME = "usr/lib/phpgw"
_PROGRAMS = ("python", "phpgw", "twistd")
_LEFT_OUT = {"test", "tests", "include", "__pycache__"}
_SCRIPTS = ("postinst", "prerm", "postrm")
_CONFIGURATION = "etc/phpgw.toml"
_UNITS = ("phpgw.service", "phpgw.socket")
_COMPLETIONS = {
    "bash": "usr/share/bash-completion/completions/phpgw",
    "zsh": "usr/share/zsh/vendor-completions/_phpgw",
    "fish": "usr/share/fish/vendor_completions.d/phpgw.fish",
}
_OVERRIDES = "usr/share/lintian/overrides/phpgw"
_DOC = "usr/share/doc/phpgw"
_PRINT_VERSION = "import sys; print(*sys.version_info[:2])"


def main() -> int:
    """Do as the command line says; return the exit status."""
    parser = argparse.ArgumentParser(description="Build the Debian package in dist/.")
    parser.add_argument("--release", default=RELEASE, help="of Debian (default: %(default)s)")
    try:
        path = build(parser.parse_args().release)
    except CommandFailed as error:
        print(error, file=sys.stderr)
        return 1
    print(f"{path.relative_to(ROOT)}: {path.stat().st_size / 1e6:.1f} MB")
    return 0


def build(release: str) -> Path:
    """Build the package for a release of Debian; return its path in ``dist/``."""
    with working_directory() as directory, fresh_system(release) as system:
        install(build_wheel(directory), system)
        tree = system.root / "package"
        lay_out(tree, system)
        package = _pack(tree, system)
        DIST.mkdir(exist_ok=True)
        return Path(shutil.copy(system.root / package, DIST))


def build_wheel(directory: Path) -> Path:
    """Build phpgw's wheel; return its path in the directory."""
    run(sys.executable, "-m", "build", "--outdir", directory, ROOT)
    [wheel] = directory.glob("*.whl")
    return wheel


def install(wheel: Path, system: Chroot) -> None:
    """Make the virtual environment in the system, with pip outside of it."""
    system.apt("install", "python3-venv")
    shutil.copy(wheel, system.root / "tmp")
    python = f"/{_HOME}/bin/python3"
    system.run("python3", "-m", "venv", "/pip")
    system.run("python3", "-m", "venv", "--without-pip", f"/{_HOME}")
    # The bytecode is compiled when the package is installed.
    pip = ("/pip/bin/pip", "--python", python, "install", "--no-cache-dir", "--no-compile")
    system.run(*pip, f"/tmp/{wheel.name}", env=system.trust())


def lay_out(tree: Path, system: Chroot) -> None:
    """Put all that the package installs into a directory."""
    shutil.copytree(system.root / _HOME, tree / _HOME, symlinks=True, ignore=_left_out)
    program = tree / "usr/bin/phpgw"
    program.parent.mkdir()
    program.symlink_to("../lib/phpgw/bin/phpgw")
    _write(tree / _CONFIGURATION, (_DEPLOY / "phpgw.toml").read_text())
    for unit in _UNITS:
        _write(tree / "usr/lib/systemd/system" / unit, (_DEBIAN / unit).read_text())
    for shell, path in _COMPLETIONS.items():
        _write(tree / path, system.run(f"/{_HOME}/bin/phpgw", "completion", shell))
    licence = "".join(f" {line or '.'}\n" for line in (ROOT / "LICENSE").read_text().splitlines())
    _write(tree / _DOC / "copyright", (_DEBIAN / "copyright").read_text() + licence)
    _write(tree / _OVERRIDES, (_DEBIAN / "lintian-overrides").read_text())


def _left_out(directory: str, names: list[str]) -> set[str]:
    """Return the names in a directory of the environment that the package does without.

    The tests of libraries are a third of all.
    """
    if Path(directory).name == "bin":
        return {name for name in names if not name.startswith(_PROGRAMS)}
    return _LEFT_OUT & set(names)


def package_version(system: Chroot) -> str:
    """Return the version of the package for a system; an upgrade of Debian upgrades it, too."""
    text = (system.root / "etc/os-release").read_text()
    [number] = re.findall(r'^VERSION_ID="(\d+)"$', text, re.MULTILINE)
    return f"{__version__}-1~deb{number}"


def _pack(tree: Path, system: Chroot) -> str:
    """Make the package of the directory.

    :returns: its name, in the root of the system.
    """
    architecture = system.run("dpkg", "--print-architecture").strip()
    version = package_version(system)
    changelog = (
        f"phpgw ({version}) unstable; urgency=medium\n\n  * See CHANGELOG.rst of phpgw.\n\n"
        f" -- The phpgw developers <phpgw@example.com>  {formatdate()}\n"
    )
    compressed = tree / _DOC / "changelog.Debian.gz"
    compressed.write_bytes(gzip.compress(changelog.encode(), mtime=0))
    major, minor = map(int, system.run("python3", "-c", _PRINT_VERSION).split())
    size = system.run("du", "-sk", "--apparent-size", f"/{tree.name}").split()[0]
    fields = {
        "version": version,
        "architecture": architecture,
        "kilobytes": size,
        "python": f"{major}.{minor}",
        "next_python": f"{major}.{minor + 1}",
    }
    files = (path for path in sorted(tree.rglob("*")) if path.is_file() and not path.is_symlink())
    sums = (f"{md5(each.read_bytes()).hexdigest()}  {each.relative_to(tree)}\n" for each in files)
    _write(tree / "DEBIAN/md5sums", "".join(sums))
    _write(tree / "DEBIAN/control", (_DEBIAN / "control").read_text().format_map(fields))
    _write(tree / "DEBIAN/conffiles", f"/{_CONFIGURATION}\n")
    for script in _SCRIPTS:
        _write(tree / "DEBIAN" / script, (_DEBIAN / script).read_text())
        (tree / "DEBIAN" / script).chmod(0o755)
    package = f"phpgw_{version}_{architecture}.deb"
    system.run("dpkg-deb", "--root-owner-group", "--build", f"/{tree.name}", f"/{package}")
    return package


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


if __name__ == "__main__":
    sys.exit(main())
