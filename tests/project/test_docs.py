"""The documentation: its markup, its links, and the options and tests that it names."""

import io
import re
import tomllib
from collections.abc import Iterator
from fnmatch import fnmatchcase
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

from docutils import nodes
from docutils.core import publish_doctree
from twisted.trial.unittest import SynchronousTestCase

from phpgw.cli.main import COMMANDS
from phpgw.logs.json_format import COMMON_FIELDS, DETAILS_FIELD, FIELDS
from phpgw.metrics import CLOSE_CAUSES, REFUSAL_CAUSES
from phpgw.settings import OPTIONS
from tests.project.test_architecture import ROOMS
from tests.support.real.gateway import ROOT

_PAGES = [
    *sorted(ROOT.glob("*.rst")),
    *sorted(ROOT.glob("docs/*.rst")),
    *sorted(ROOT.glob("examples/*/README.rst")),
    ROOT / "benchmarks/README.rst",
]
_MARKDOWN = [ROOT / "php/README.md", *sorted(ROOT.glob("examples/*/README.md"))]
_ARCHITECTURE = ROOT / "docs/architecture.rst"
# Files that the page about the architecture only imagines.
_IMAGINED = {
    *("websocket/pusher.py", "backend/grip.py", "relay/grip.py"),
}
_CONFIGURATION = ROOT / "docs/configuration.rst"
_LOGS = ROOT / "docs/logs.rst"
# A test as the pages name it: its path below tests/, a class (or a pattern), a method.
_TEST = re.compile(r"(?<![\w./])((?:\w+/)*test_\w+)((?:\.[A-Za-z]\w*\*?)*)")
# A path of the project, as the pages name it.
_PATH = re.compile(
    r"``((?:phpgw|tests|docs|deploy|examples|php|benchmarks|conformance|scripts|changes)/[\w./-]*)``"
)
# What exists only while something runs, or once.
_PASSING = ("benchmarks/results.json",)
# Options of other programs, which the pages name too.
_FOREIGN_OPTIONS = {
    *("--time", "--uid", "--gid", "--pidfile", "--logfile", "--now", "--data-binary", "--json"),
    *("--only", "--help", "--version", "--config", "--peer", "--go-builder", "--port"),
    *("--minutes", "--execute", "--write", "--strict", "--tag", "--file", "--build"),
    *("--from-literal",),
}


@cache
def parsed(path: Path) -> tuple[Any, str]:
    """Return a page's tree, and what docutils complains about."""
    warnings = io.StringIO()
    settings = {"warning_stream": warnings, "report_level": 2, "_disable_config": True}
    tree = publish_doctree(path.read_text(), str(path), settings_overrides=settings)
    return tree, warnings.getvalue()


def anchors(path: Path) -> set[str]:
    """Return the ids of a page's headings."""
    tree, _ = parsed(path)
    return {each for node in tree.findall(nodes.Element) for each in node["ids"]}


def links(path: Path) -> Iterator[str]:
    """Return the targets of a page's links and pictures."""
    if path.suffix == ".md":
        yield from re.findall(r"\]\(([^)\s]+)\)", path.read_text())
        return
    tree, _ = parsed(path)
    for node in tree.findall(nodes.reference):
        yield node.get("refuri") or f"#{node['refid']}"
    for node in tree.findall(nodes.image):
        yield node["uri"]


def module_tests(name: str) -> dict[str, type]:
    """Return the test classes of a module, which is given by its path below tests/."""
    module = import_module(f"tests.{name.replace('/', '.')}")
    return {key: value for key, value in vars(module).items() if isinstance(value, type)}


def is_test(name: str, rest: list[str]) -> bool:
    """Return whether such a test exists: a file, a class in it, a method of that.

    A class that is made once for each way to PHP is found by the end of its name.
    """
    if not (ROOT / "tests" / f"{name}.py").is_file():
        return False
    classes = module_tests(name)
    pattern = "*" if not rest or rest[0].startswith("test_") else f"*{rest[0]}"
    method = rest[-1] if rest and rest[-1].startswith("test_") else None
    return not rest or any(
        fnmatchcase(key, pattern) and (method is None or hasattr(value, method))
        for key, value in classes.items()
    )


class MarkupTests(SynchronousTestCase):
    def test_markup(self) -> None:
        """docutils has nothing to complain about."""
        for path in _PAGES:
            self.assertEqual("", parsed(path)[1], path)

    def test_links(self) -> None:
        """Each link within the project leads to a file, and to a heading in it."""
        found = 0
        for path in (*_PAGES, *_MARKDOWN):
            for link in links(path):
                if re.match(r"[a-z]+:", link):
                    continue
                found += 1
                file, _, anchor = link.partition("#")
                target = (path.parent / file).resolve() if file else path
                self.assertTrue(target.exists(), f"{path.relative_to(ROOT)}: {link}")
                if anchor:
                    self.assertIn(anchor, anchors(target), f"{path.relative_to(ROOT)}: {link}")
        self.assertGreater(found, 50)

    def test_paths(self) -> None:
        """Each file that a page names is there."""
        found = 0
        for path in (*_PAGES, *_MARKDOWN):
            for name in _PATH.findall(path.read_text()):
                found += 1
                is_there = (ROOT / name).exists() or name in _PASSING
                self.assertTrue(is_there, f"{path.relative_to(ROOT)}: {name}")
        self.assertGreater(found, 20)

    def test_index(self) -> None:
        """The index has all pages."""
        targets = set(links(ROOT / "docs/index.rst"))
        for path in ROOT.glob("docs/*.rst"):
            if path.name != "index.rst":
                self.assertIn(path.name, targets)

    def test_readme_is_short(self) -> None:
        self.assertLess(len((ROOT / "README.rst").read_text().splitlines()), 80)


class NamedTests(SynchronousTestCase):
    """Tests that the pages name."""

    def test_each_exists(self) -> None:
        found = 0
        for path in _PAGES:
            text = path.read_text().replace(".py", "")
            for name, rest in _TEST.findall(text):
                found += 1
                where = f"{path.relative_to(ROOT)}: {name}{rest}"
                parts = [part for part in rest.split(".") if part]
                self.assertTrue(is_test(name.removeprefix("tests/"), parts), where)
        self.assertGreater(found, 50)

    def test_faults_are_found(self) -> None:
        here = "project/test_docs"
        self.assertTrue(is_test(here, []))
        self.assertTrue(is_test(here, ["Named*"]))
        self.assertTrue(is_test(here, ["NamedTests", "test_each_exists"]))
        self.assertTrue(is_test(here, ["test_each_exists"]))
        self.assertFalse(is_test("project/test_nothing", []))
        self.assertFalse(is_test(here, ["Nothing*"]))
        self.assertFalse(is_test(here, ["MarkupTests", "test_each_exists"]))
        self.assertFalse(is_test(here, ["test_nothing"]))


class ArchitecturePageTests(SynchronousTestCase):
    """The page about the architecture."""

    def test_picture(self) -> None:
        """Its picture has the floors in the order that their imports follow."""
        picture = _ARCHITECTURE.read_text().split("::\n", 1)[1].split("Who may import whom")[0]
        places = [re.search(rf"\b{room}(/|\.py)", picture) for room in ROOMS]
        found = [place.start() for place in places if place is not None]
        self.assertEqual(len(ROOMS), len(found))
        self.assertEqual(sorted(found), found)

    def test_every_room_is_there(self) -> None:
        """It has a line for each file of the package."""
        text = _ARCHITECTURE.read_text()
        for path in (ROOT / "phpgw").rglob("*.py"):
            if path.name != "__init__.py":
                self.assertIn(f"\n``{path.name}``", text, path.relative_to(ROOT))

    def test_no_other_is_there(self) -> None:
        """Each file that it names exists."""
        text = _ARCHITECTURE.read_text()
        names = {path.name for path in (ROOT / "phpgw").rglob("*.*")}
        for name in re.findall(r"^``(\w+\.\w+)`` ", text, re.MULTILINE):
            self.assertIn(name, names)
        for name in re.findall(r"``(\w+/(?:\w+/)?\w+\.\w+)``", text):
            is_there = (ROOT / "phpgw" / name).exists() or (ROOT / name).exists()
            self.assertTrue(is_there or name in _IMAGINED, name)


class ChangesTests(SynchronousTestCase):
    def test_fragments(self) -> None:
        """Each fragment has a kind that towncrier knows, and a text."""
        settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["towncrier"]
        kinds = "|".join(each["directory"] for each in settings["type"])
        for path in (ROOT / settings["directory"]).glob("[!.]*"):
            self.assertRegex(path.name, rf"^(\d+|\+[\w-]+)\.({kinds})\.rst$")
            self.assertTrue(path.read_text().strip(), path)


class OptionTests(SynchronousTestCase):
    """Options that the pages name."""

    def test_each_is_documented(self) -> None:
        """The page about configuration has every option, with its default."""
        _, _, text = _CONFIGURATION.read_text().partition("\nAll options\n")
        for option in OPTIONS:
            row = re.search(rf"^``--{option.name}[ `].{{30,}}$", text, re.MULTILINE)
            assert row is not None, option.name
            default = row[0][36:49].strip()
            if default == "see right":
                self.assertIn(f"``{option.default}``", text, option.name)
            else:
                self.assertEqual(option.default or "", default, option.name)

    def test_each_exists(self) -> None:
        """No page names an option that is not there."""
        commands = (import_module(f"phpgw.cli.{name}").command for name in COMMANDS)
        options = [option for each in commands for option in each.params]
        own = {name for each in options for name in (*each.opts, *each.secondary_opts)}
        known = own | _FOREIGN_OPTIONS
        for path in (*_PAGES, *_MARKDOWN):
            for name in re.findall(r"(?<![\w-])--[a-z][a-z-]+[a-z]", path.read_text()):
                self.assertIn(name, known, f"{path.relative_to(ROOT)}: {name}")


class LogFieldTests(SynchronousTestCase):
    """The fields of log lines in JSON."""

    def test_each_is_documented(self) -> None:
        """The page about the log has exactly the fields that lines can have, in their order."""
        table = _LOGS.read_text().split("\nThe fields of JSON\n")[1].split("\nThe lines of")[0]
        fields = re.findall(r"^``(\w+)`` ", table, re.MULTILINE)
        self.assertEqual([*COMMON_FIELDS, *FIELDS, DETAILS_FIELD], fields)

    def test_causes(self) -> None:
        """The page has exactly the causes for which connections end or are refused."""
        text = _LOGS.read_text().split("\nThe lines of a connection\n")[1]
        causes = re.findall(r"^``(\w+)`` ", text.split("\nThe line of an event\n")[0], re.MULTILINE)
        self.assertEqual([*CLOSE_CAUSES, *REFUSAL_CAUSES], causes)
