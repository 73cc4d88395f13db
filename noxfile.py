"""Unit tests and types with other Pythons and other versions of the dependencies.

``nox`` runs all sessions, and leaves out Pythons that are not there; ``nox -l`` lists them.
"""

import os

import nox

nox.options.default_venv_backend = "uv|virtualenv"
nox.options.reuse_existing_virtualenvs = True

_JOBS = str(os.cpu_count() or 1)
_SHOW_VERSIONS = """
from importlib.metadata import version
print(*(f"{name} {version(name)}" for name in ("Twisted", "autobahn", "treq")), sep=", ")
"""


@nox.session(python=["3.11", "3.12", "3.13"])
def unit(session: nox.Session) -> None:
    """Unit tests with each Python, and the newest dependencies that setup.cfg allows."""
    session.install("--upgrade", "--editable", ".[dev]")
    _test(session)


@nox.session(python="3.11")
def lowest(session: nox.Session) -> None:
    """Unit tests with the lowest dependencies that setup.cfg allows, on the lowest Python."""
    session.install("uv")
    session.run("uv", "pip", "install", "--resolution=lowest-direct", "--editable", ".[dev]")
    _test(session)


@nox.session
def latest(session: nox.Session) -> None:
    """Unit tests and types with the newest libraries, whatever setup.cfg allows."""
    session.install("--editable", ".[dev]")
    session.install("--upgrade", "Twisted[tls]", "autobahn", "treq")
    _test(session)
    session.run("mypy")


def _test(session: nox.Session) -> None:
    session.run("python", "-c", _SHOW_VERSIONS)
    session.run("trial", "--reporter=text", "-j", _JOBS, "tests.unit", "tests.project")
