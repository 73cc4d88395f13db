"""The suite itself: a Python 2.7 that runs it, its environment, and the cases that it has."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from itertools import groupby
from pathlib import Path

import attrs

_HERE = Path(__file__).parent
# In the order in which they are installed.
_REQUIREMENTS = (_HERE / "requirements-build.txt", _HERE / "requirements.txt")
_SECONDS = 600

_HOW_TO_GET_PYTHON = """\
The Autobahn|Testsuite runs on Python 2.7 alone, and {problem}. Any CPython 2.7 will do:

    pyenv install 2.7.18                              # github.com/pyenv/pyenv
    PYTHON27=/path/to/python2.7 make conformance      # one that is elsewhere

Up to version 11, Debian has packages: apt-get install python2.7 python2.7-dev
"""

# Runs in Python 2.7. Cases are named by their classes: Case9_1_6.
_CATALOGUE = """
import json
from autobahntestsuite import version
from autobahntestsuite.case import CaseCategories, Cases
numbers = [case.__name__[len("Case"):].replace("_", ".") for case in Cases]
print(json.dumps({"version": version, "numbers": numbers, "categories": CaseCategories}))
"""

# These have a thousand round trips in each case, and take nearly all the time.
_LONG_CATEGORIES = ("12", "13")


class SuiteUnusable(Exception):
    """The suite cannot be run; the text says why, and what to do."""


@attrs.frozen
class Catalogue:
    """What the suite has.

    :ivar version: the suite's.
    :ivar numbers: of all cases, as ``9.1.6``, in order.
    :ivar categories: titles by the first part of these numbers.
    """

    version: str
    numbers: tuple[str, ...]
    categories: Mapping[str, str]

    def select(self, pattern: str) -> set[str]:
        """The cases that a pattern like ``9.*`` means."""
        return {number for number in self.numbers if fnmatchcase(number, pattern)}


def split_into_runs(numbers: Sequence[str]) -> dict[str, list[str]]:
    """Take cases apart into runs that may go side by side, by name: ``1-10``, ``12.1``, ..."""
    runs = {name: list(group) for name, group in groupby(numbers, _subcategory)}
    if "" in runs:
        short = runs.pop("")
        first, last = (number.partition(".")[0] for number in (short[0], short[-1]))
        runs = {first if first == last else f"{first}-{last}": short, **runs}
    return runs


def _subcategory(number: str) -> str:
    """Of a long category; nothing for the others."""
    category, subcategory, *_ = number.split(".")
    return f"{category}.{subcategory}" if category in _LONG_CATEGORIES else ""


def find_python27(environment: Mapping[str, str] = os.environ) -> Path:
    """A Python 2.7 that works.

    :raises SuiteUnusable: if there is none.
    """
    for candidate in _candidates(environment):
        try:
            told = subprocess.run([candidate, "--version"], capture_output=True, timeout=30)
        except OSError:
            continue
        # A shim of pyenv is there also where no version is chosen; it fails. Python 2 tells its
        # version on the error output.
        if not told.returncode and b"Python 2.7" in told.stdout + told.stderr:
            return candidate
    named = environment.get("PYTHON27")
    problem = f"PYTHON27={named} is none" if named else "neither PATH nor pyenv has one"
    raise SuiteUnusable(_HOW_TO_GET_PYTHON.format(problem=problem))


def _candidates(environment: Mapping[str, str]) -> Iterator[Path]:
    named = environment.get("PYTHON27")
    if named:
        # What is said is meant.
        yield Path(named)
        return
    found = shutil.which("python2.7", path=environment.get("PATH"))
    if found is not None:
        yield Path(found)
    pyenv = Path(environment.get("PYENV_ROOT") or Path.home() / ".pyenv")
    yield from pyenv.glob("versions/2.7*/bin/python2.7")


class Suite:
    """The suite in a virtual environment of its own.

    :param directory: where that environment is, or is to be.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.wstest = directory / "bin" / "wstest"
        self._python = directory / "bin" / "python"
        self._stamp = directory / "requirements"

    def prepare(self) -> None:
        """Make the environment, unless it is there with these very versions.

        :raises SuiteUnusable: if that does not succeed.
        """
        wanted = "".join(path.read_text() for path in _REQUIREMENTS)
        if self._stamp.exists() and self._stamp.read_text() == wanted:
            return
        python27 = find_python27()
        print(f"preparing {self._directory} with {python27}", flush=True)
        shutil.rmtree(self._directory, ignore_errors=True)
        # Bare Pythons have no pip; a virtualenv before 20.22 brings one along.
        environment = ["-m", "virtualenv", "--quiet", "--no-periodic-update", "--python"]
        _run(sys.executable, *environment, python27, self._directory)
        pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        for path in _REQUIREMENTS:
            _run(self._python, *pip, "--no-deps", "--no-build-isolation", "--requirement", path)
        self._stamp.write_text(wanted)

    def catalogue(self) -> Catalogue:
        """Ask the suite what it has.

        :raises SuiteUnusable: if it does not tell.
        """
        told = json.loads(_run(self._python, "-c", _CATALOGUE))
        return Catalogue(told["version"], tuple(told["numbers"]), told["categories"])


def _run(*command: str | Path) -> str:
    """Run a command that has to succeed; return what it printed."""
    try:
        ended = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_SECONDS
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise SuiteUnusable(str(error)) from error
    if ended.returncode:
        raise SuiteUnusable(f"{' '.join(map(str, command))}\n{ended.stdout}{ended.stderr}")
    return ended.stdout
