"""What the package uses of the libraries beyond their interface: it is listed, and it is there."""

import ast
import importlib
import inspect
import textwrap
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementedBy

from tests.project.test_architecture import MODULES

_LIBRARIES = ("twisted.", "autobahn.", "treq.", "hyperlink.")
_LIST = Path(__file__).with_name("library_internals.toml")
INTERNALS: dict[str, dict[str, Any]] = tomllib.loads(_LIST.read_text())
# Documented, though it looks private: the standard library's.
_DOCUMENTED = {
    *("os._exit", "url._replace"),
    *("context.check_hostname", "context.verify_flags", "context.verify_mode"),
}
# Documented as something to assign to.
_ASSIGNABLE = {"pool.maxPersistentPerHost", "request.postpath", "timer.daemon"}


def listed(module: str) -> set[str]:
    """Return the attributes that the list allows to a module."""
    return {
        name
        for attributes in INTERNALS.values()
        for name, entry in attributes.items()
        if module.removeprefix("phpgw.") in entry["users"]
    }


def load(full_name: str) -> Any:
    """Return a module, or a class of one."""
    module, _, name = full_name.rpartition(".")
    try:
        return importlib.import_module(full_name)
    except ImportError:
        return getattr(importlib.import_module(module), name)


def library_classes(cls: type) -> Iterator[type]:
    """Return those of a class and its bases that a library defines."""
    return (each for each in cls.__mro__ if f"{each.__module__}.".startswith(_LIBRARIES))


@cache
def instance_attributes(cls: type) -> frozenset[str]:
    """Return what the methods of one class set on ``self``."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(cls)))
    except (OSError, TypeError):
        return frozenset()
    return frozenset(
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and isinstance(node.ctx, ast.Store)
        and is_self(node.value)
    )


def is_self(node: ast.expr) -> bool:
    """Return whether an expression is ``self``, ``cls`` or ``super()``."""
    if isinstance(node, ast.Call):
        node = node.func
    return isinstance(node, ast.Name) and node.id in ("self", "cls", "super")


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


def has(owner: Any, name: str) -> bool:
    """Return whether a module, a class or its instances have an attribute."""
    if hasattr(owner, name):
        return True
    return isinstance(owner, type) and any(name in instance_attributes(c) for c in owner.__mro__)


def is_documented(cls: type, name: str) -> bool:
    """Return whether a library says what an attribute is, in a docstring or an interface."""
    fields = (f"var {name}:", f"@type {name}:", f"var {name} ")
    return any(
        field in (each.__doc__ or "") for each in library_classes(cls) for field in fields
    ) or any(name in interface for interface in implementedBy(cls).flattened())


def own_names(tree: ast.Module) -> set[str]:
    """Return the names of the functions that a module defines, methods among them."""
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def uses_on_others(tree: ast.Module) -> Iterator[str]:
    """Yield private attributes of objects other than ``self``, and private names imported."""
    own = own_names(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and is_private(node.attr) and not is_self(node.value):
            if node.attr not in own and ast.unparse(node) not in _DOCUMENTED:
                yield node.attr
        elif isinstance(node, ast.ImportFrom) and f"{node.module}.".startswith(_LIBRARIES):
            yield from (alias.name for alias in node.names if is_private(alias.name))
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in ("getattr", "hasattr"):
            name = node.args[1]
            if isinstance(name, ast.Constant) and is_private(str(name.value)):
                yield str(name.value)


def assignments(tree: ast.Module) -> Iterator[ast.Attribute]:
    """Yield assignments to attributes of objects other than ``self``."""
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Attribute)
            and not isinstance(node.ctx, ast.Load)
            and not is_self(node.value)
            and ast.unparse(node) not in _ASSIGNABLE
        ):
            yield node


def uses_in_subclasses(module: str, tree: ast.Module) -> Iterator[str]:
    """Yield what subclasses of library classes take from them, or override in them.

    That is: methods with an underscore, and what their instances have without documentation.
    """
    for node in tree.body:
        cls = getattr(importlib.import_module(module), getattr(node, "name", ""), None)
        if not (isinstance(node, ast.ClassDef) and isinstance(cls, type)):
            continue
        used = names_on_self(node)
        for each in library_classes(cls):
            yield from (name for name in used & {*vars(each)} if is_private(name))
            for name in used & instance_attributes(each):
                if is_private(name) or not (hasattr(each, name) or is_documented(cls, name)):
                    yield name


def names_on_self(node: ast.ClassDef) -> set[str]:
    """Return what a class assigns, defines, or uses of ``self`` or ``super()``."""
    names = own_names(ast.Module([node], []))
    for each in ast.walk(node):
        if isinstance(each, ast.Attribute) and is_self(each.value):
            names.add(each.attr)
    for statement in node.body:
        match statement:
            case ast.AnnAssign(target=ast.Name(id=name)) | ast.Assign(targets=[ast.Name(id=name)]):
                names.add(name)
    return names


class ExistenceTests(SynchronousTestCase):
    """An upgrade that takes something away is noticed here first, with its name."""

    def test_all_are_there(self) -> None:
        missing = [
            f"{owner}.{name} (needed in {', '.join(entry['users'])}: {entry['why']})"
            for owner, attributes in INTERNALS.items()
            for name, entry in attributes.items()
            if not has(load(owner), name)
        ]
        self.assertEqual([], missing)

    def test_parameters(self) -> None:
        for owner, attributes in INTERNALS.items():
            for name, entry in attributes.items():
                if "parameters" in entry:
                    _, *parameters = inspect.signature(getattr(load(owner), name)).parameters
                    self.assertEqual(entry["parameters"], parameters, f"{owner}.{name}")

    def test_missing_one_is_noticed(self) -> None:
        channel = load("twisted.web.http.HTTPChannel")
        self.assertTrue(has(channel, "_dataBuffer"))
        self.assertFalse(has(channel, "_dataBuffers"))


class CompletenessTests(SynchronousTestCase):
    """Nothing is used that is not in the list, and nothing is in it that is not used."""

    def setUp(self) -> None:
        self.trees = {name: ast.parse(path.read_bytes()) for name, path in MODULES.items()}

    def test_private_names(self) -> None:
        self.assert_listed({name: {*uses_on_others(tree)} for name, tree in self.trees.items()})

    def test_subclasses(self) -> None:
        self.assert_listed(
            {name: {*uses_in_subclasses(name, tree)} for name, tree in self.trees.items()}
        )

    def assert_listed(self, used: dict[str, set[str]]) -> None:
        unlisted = {module: names - listed(module) for module, names in used.items()}
        self.assertEqual(
            {}, {module: names for module, names in unlisted.items() if names}, _LIST.name
        )

    def test_assignments(self) -> None:
        """They are to attributes of our own classes, or listed."""
        own = {
            name
            for tree in self.trees.values()
            for node in ast.walk(tree)
            if isinstance(node, ast.ClassDef)
            for name in names_on_self(node)
        }
        internal = {name for attributes in INTERNALS.values() for name in attributes}
        for module, tree in self.trees.items():
            for node in assignments(tree):
                if ast.unparse(node) in _DOCUMENTED:
                    continue
                if node.attr not in own or node.attr in internal:
                    self.assertIn(node.attr, listed(module), f"{module}: {ast.unparse(node)}")

    def test_users(self) -> None:
        for owner, attributes in INTERNALS.items():
            for name, entry in attributes.items():
                for user in entry["users"]:
                    text = MODULES[f"phpgw.{user}"].read_text()
                    self.assertIn(name, text, f"{owner}.{name} is not used in {user}")
