"""The shape of the package: which room may import which, and which library stays where."""

import ast
from collections import Counter
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

import phpgw

# Which house, or file at the root, may import which. Each imports only what stands above it in this
# table, so there are no circles between them.
_FOUNDATIONS = {
    *("deadlines", "duration", "escape", "histogram", "log_limit"),
    *("labelled_counts", "metric_field", "metrics", "observable", "snapshot", "time_slices"),
}
MAY_IMPORT: dict[str, set[str]] = {
    "deadlines": set(),
    "duration": set(),
    "escape": set(),
    "labelled_counts": set(),
    "histogram": {"labelled_counts"},
    "log_limit": set(),
    "metric_field": {"labelled_counts"},
    "metrics": {"histogram", "labelled_counts", "metric_field"},
    "observable": {"labelled_counts", "metric_field"},
    "snapshot": {"histogram", "metric_field", "metrics"},
    "time_slices": set(),
    "logs": {*_FOUNDATIONS},
    "transport": {*_FOUNDATIONS},
    "web": {*_FOUNDATIONS, "transport"},
    "timers": {*_FOUNDATIONS},
    "prometheus": {*_FOUNDATIONS},
    "history": {*_FOUNDATIONS},
    "settings": {*_FOUNDATIONS, "history", "timers", "web"},
    "process": {*_FOUNDATIONS, "settings"},
    "backend": {*_FOUNDATIONS, "process", "settings", "transport"},
    "bus": {*_FOUNDATIONS, "process", "settings", "transport"},
    # In a process of its own, beside the gateway.
    "pools": {*_FOUNDATIONS, "process", "prometheus", "settings", "transport", "web"},
    "hub": {*_FOUNDATIONS, "backend", "history"},
    "relay": {*_FOUNDATIONS, "backend", "hub", "settings", "web"},
    "cluster": {*_FOUNDATIONS, "backend", "bus", "history", "hub", "relay", "settings", "timers"},
    "websocket": {*_FOUNDATIONS, "backend", "hub", "relay", "settings", "transport", "web"},
    "outgoing": {
        *_FOUNDATIONS,
        *("backend", "hub", "relay", "settings", "transport", "websocket"),
    },
    "feed": {*_FOUNDATIONS, "relay", "web", "websocket"},
    "api": {
        *_FOUNDATIONS,
        *(
            "backend",
            "feed",
            "history",
            "hub",
            "prometheus",
            "relay",
            "settings",
            "transport",
            "web",
        ),
    },
    "console": {*_FOUNDATIONS, "api", "web"},
    # In the process of the command, beside the gateway.
    "checks": {"backend", "bus", "process", "relay", "settings", "web"},
    "gateway": {*_FOUNDATIONS, "backend", "pools", "process", "relay", "websocket"},
    "gateway_state": {*_FOUNDATIONS, "backend", "hub", "relay", "websocket"},
    "node_parts": {"history", "hub", "observable", "relay", "timers"},
    "process_role": {
        *("api", "backend", "cluster", "feed", "pools", "process", "prometheus", "relay"),
        *("settings", "web"),
    },
    # It puts all together.
    "service": {
        *_FOUNDATIONS,
        *("web", "timers", "prometheus", "settings", "process", "backend", "bus"),
        *("history", "hub"),
        *("relay", "cluster", "transport", "websocket", "outgoing", "feed", "api", "console"),
        *("gateway", "gateway_state", "node_parts", "process_role"),
    },
    "workers": {
        *_FOUNDATIONS,
        *("logs", "web", "prometheus", "settings", "process", "backend", "bus", "hub", "relay"),
        *("pools", "cluster", "feed", "api", "gateway", "process_role", "service"),
    },
    "samples": {*_FOUNDATIONS, "settings", "web"},
    "tap": {*_FOUNDATIONS, "logs", "process", "settings", "workers"},
    "cli": {
        *_FOUNDATIONS,
        *("checks", "history", "logs", "process", "samples", "settings", "workers"),
    },
}
# From the top to the bottom, like the picture in docs/architecture.rst.
ROOMS = [*reversed(MAY_IMPORT)]
# Who may use a library.
USERS = {
    "click": ("phpgw.cli",),
    "rich": ("phpgw.cli",),
    "prometheus_client": ("phpgw.prometheus",),
    "hiredis": ("phpgw.bus",),
    "msgpack": ("phpgw.cluster",),
    "autobahn": ("phpgw.websocket.protocol", "phpgw.websocket.autobahn_slim"),
    "treq": ("phpgw.backend.http",),
    "twisted.web": (
        "phpgw.api",
        "phpgw.console",
        "phpgw.web",
        "phpgw.websocket.handshake",
        "phpgw.websocket.probe_handshake",
        "phpgw.websocket.request_info",
        "phpgw.process_role",
        "phpgw.service",
        "phpgw.backend.http",
    ),
}
_ROOT = Path(phpgw.__file__).parents[1]
MODULES = {
    ".".join(path.relative_to(_ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for path in _ROOT.glob("phpgw/**/*.py")
}


def imported_names(module: str) -> Iterator[str]:
    """The full names of what a module imports, wherever it does so."""
    for node in ast.walk(ast.parse(MODULES[module].read_bytes())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.module is not None, f"{module}: a relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def imported_modules(module: str) -> set[str]:
    """Those of our own."""
    return {
        name if name in MODULES else name.rpartition(".")[0]
        for name in imported_names(module)
        if is_within(name, "phpgw")
    }


def is_within(name: str, package: str) -> bool:
    return f"{name}.".startswith(f"{package}.")


class ArchitectureTests(SynchronousTestCase):
    def test_no_class_name_twice(self) -> None:
        """A name means one thing. That is true of private classes, too."""
        names = Counter(
            node.name
            for path in MODULES.values()
            for node in ast.walk(ast.parse(path.read_bytes()))
            if isinstance(node, ast.ClassDef)
        )
        self.assertEqual({}, {name: count for name, count in names.items() if count > 1})

    def test_every_room_is_in_the_table(self) -> None:
        self.assertEqual(
            {*MAY_IMPORT}, {module.split(".")[1] for module in MODULES if module != "phpgw"}
        )

    def test_table_has_no_circles(self) -> None:
        known: set[str] = set()
        for room, others in MAY_IMPORT.items():
            self.assertLessEqual(others, known, room)
            known.add(room)

    def test_imports(self) -> None:
        for module in {*MODULES} - {"phpgw"}:
            for other in imported_modules(module) - {"phpgw"}:
                here, there = module.split(".")[1], other.split(".")[1]
                self.assertIn(there, MAY_IMPORT[here] | {here}, f"{module} imports {other}")

    def test_no_circles(self) -> None:
        """Not even within a room."""
        TopologicalSorter({module: imported_modules(module) for module in MODULES}).prepare()

    def test_libraries(self) -> None:
        for module in MODULES:
            for name in imported_names(module):
                for library, users in USERS.items():
                    self.assertTrue(
                        not is_within(name, library)
                        or any(is_within(module, user) for user in users),
                        f"{module} imports {name}",
                    )

    def test_strangers_cannot_fill_the_log(self) -> None:
        """All that is written after the start goes through what limits it."""
        at_start = {"phpgw.process.fd_budget", "phpgw.process.rlimit"}
        for module, path in MODULES.items():
            for line in path.read_text().splitlines():
                if "Logger(" in line and module not in at_start:
                    self.assertIn("Logger(observer=line_limit)", line, module)
