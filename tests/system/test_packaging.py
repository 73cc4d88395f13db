"""The package as its users install it; building and installing it asks the package index."""

import os
import shutil
import subprocess
import sys
import tarfile
from functools import cache
from pathlib import Path
from zipfile import ZipFile

from twisted.trial.unittest import SynchronousTestCase

import phpgw

ROOT = Path(__file__).resolve().parents[2]
PLUGIN = "twisted/plugins/phpgw_plugin.py"
# With either of these, the checkout or the package would hide Twisted itself.
FORBIDDEN = ("twisted/__init__.py", "twisted/plugins/__init__.py")


def run(*command: str | Path, directory: Path) -> str:
    """Run a command that has to succeed.

    :returns: what it printed.
    """
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    ended = subprocess.run(
        command, cwd=directory, env=environment, capture_output=True, text=True, timeout=300
    )
    assert not ended.returncode, f"{command}:\n{ended.stdout}\n{ended.stderr}"
    return ended.stdout


@cache
def built() -> Path:
    """The directory with a wheel and an sdist, built from a copy of the checkout."""
    copy = Path("checkout").resolve()
    # Not what git does not have either: the setuptools would go by an older list of files.
    ignored = shutil.ignore_patterns(".*", "*.egg-info", "build", "dist", "_trial_temp*")
    shutil.copytree(ROOT, copy, ignore=ignored)
    packages = Path("packages").resolve()
    packages.mkdir()
    run(sys.executable, "-m", "build", "--outdir", packages, copy, directory=packages)
    return packages


def only(pattern: str) -> Path:
    [path] = built().glob(pattern)
    return path


class BuiltTests(SynchronousTestCase):
    def assert_complete(self, names: list[str]) -> None:
        self.assertIn(PLUGIN, names)
        for module in (ROOT / "phpgw").rglob("*.py"):
            self.assertIn(str(module.relative_to(ROOT)), names)
        for name in names:
            self.assertFalse(name.endswith(("dropin.cache", ".pyc", *FORBIDDEN)), name)

    def test_wheel(self) -> None:
        """The gateway, its plugin, and nothing beside them."""
        with ZipFile(only("*.whl")) as wheel:
            names = wheel.namelist()
        self.assert_complete(names)
        info = f"phpgw-{phpgw.__version__}.dist-info"
        self.assertEqual({"phpgw", "twisted", info}, {name.split("/")[0] for name in names})
        self.assertEqual([PLUGIN], [name for name in names if name.startswith("twisted/")])

    def test_sdist(self) -> None:
        with tarfile.open(only("*.tar.gz")) as sdist:
            names = [name.partition("/")[2] for name in sdist.getnames()]
        self.assert_complete(names)
        for name in ("LICENSE", "tests/system/test_packaging.py"):
            self.assertIn(name, names)


class InstallTests(SynchronousTestCase):
    def test_install_and_uninstall(self) -> None:
        """Installed, twistd lists the gateway from anywhere; uninstalled, twistd is as before."""
        elsewhere = Path(self.mktemp()).resolve()
        elsewhere.mkdir()
        home = elsewhere / "venv"
        python, twistd = home / "bin/python", home / "bin/twistd"
        run(sys.executable, "-m", "venv", home, directory=elsewhere)

        # As pipx does it; no library has to be compiled.
        install = (python, "-m", "pip", "install", "--quiet", "--only-binary=:all:")
        run(*install, only("*.whl"), directory=elsewhere)
        self.assertIn(
            "A WebSocket gateway for PHP-FPM.", run(twistd, "--help", directory=elsewhere)
        )
        self.assertIn("--php-url URL", run(twistd, "phpgw", "--help", directory=elsewhere))
        version = run(twistd, "phpgw", "--version", directory=elsewhere)
        self.assertEqual(f"phpgw {phpgw.__version__}\n", version)
        command = home / "bin/phpgw"
        self.assertEqual(version, run(command, "--version", directory=elsewhere))
        self.assertEqual(version, run(command, "version", directory=elsewhere))
        self.assertIn("--php-url URL", run(command, "serve", "--help", directory=elsewhere))

        run(python, "-m", "pip", "uninstall", "--quiet", "--yes", "phpgw", directory=elsewhere)
        manual = run(twistd, "--help", directory=elsewhere)
        self.assertIn("web ", manual)
        self.assertNotIn("phpgw", manual)
        run(python, "-c", "import twisted.web.server, twisted.plugins", directory=elsewhere)
        self.assertEqual([], list(home.rglob("*phpgw*")))
