"""The gateways that are measured: ours with each upstream, the Go gateway, and others."""

import subprocess
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import attrs

from benchmarks.contest import Unmeasured
from benchmarks.cpu import Roles
from benchmarks.listener import listening_on
from benchmarks.stage import Stage
from tests.support.real.gateway import ROOT, Gateway
from tests.support.real.process import Process, accepts, free_port, tied
from tests.support.real.process_table import descendants

GO = "Go gateway"
PHPGW = "phpgw"
# The bounds of a round trip, by the way that it takes to PHP.
BEHIND_NGINX = "bound: PHP-FPM behind Nginx"
BY_FASTCGI = "bound: PHP-FPM by FastCGI"

_BUILD_DIRECTORY = ROOT / "build" / "benchmarks"
_BUILD_SECONDS = 300


@attrs.frozen
class Upstream:
    """One of phpgw's ways to PHP.

    :ivar options: of ``twistd phpgw``, with places to fill.
    :ivar bound: of its round trip.
    """

    name: str
    options: tuple[str, ...]
    bound: str


# What no honest client meets is what a benchmark is after.
_NO_LIMITS = ("--max-message-rate=0", "--max-connections=0")

UPSTREAMS = (
    Upstream("phpgw, FastCGI", ("--php-script={script}", "--php-fpm={fpm}"), BY_FASTCGI),
    Upstream("phpgw, own PHP-FPM", ("--php-script={script}",), BY_FASTCGI),
    Upstream("phpgw, HTTP", ("--php-url={url}",), BEHIND_NGINX),
)


@attrs.frozen
class Subject:
    """A gateway that runs.

    :ivar bound: the name of the bound of its round trip.
    :ivar process: unless somebody else runs it.
    """

    name: str
    ws_url: str
    bound: str
    stage: Stage
    process: Process | None = None

    @property
    def base_url(self) -> str:
        """Of its HTTP API."""
        return f"http://{urlsplit(self.ws_url).netloc}"

    @property
    def send_url(self) -> str:
        """Where PHP pushes."""
        return f"{self.base_url}/send"

    def gateway_pids(self) -> list[int]:
        """The gateway itself; empty if it is not on this machine."""
        if self.process is not None:
            return [self.process.pid]
        return listening_on(urlsplit(self.ws_url).port or 80)

    def roles(self) -> Roles:
        """Who takes part in its round trip."""
        # One that runs a PHP-FPM of its own.
        own = descendants(self.process.pid) if self.process is not None else set()
        return {
            "gateway": self.gateway_pids(),
            "nginx": self.stage.nginx_pids(),
            "php": [*self.stage.php_pids(), *(each.pid for each in own)],
        }

    def last_words(self) -> str:
        """The end of its log, for a note on what went wrong."""
        lines = self.process.log.splitlines() if self.process is not None else []
        return f" (its log ends with {lines[-1][-200:]!r})" if lines else ""

    def renew(self) -> None:
        """Start it again, if it is ours: what it has been through is not to be measured."""
        if self.process is not None:
            self.process.restart()


class _GoGateway(Process):
    """The Go gateway of the article; what it logs of every message goes nowhere."""

    name = "go-gateway"

    def __init__(self, directory: Path, program: str, port: int) -> None:
        self.port = port
        super().__init__(directory, ["sh", "-c", 'exec "$0" 2>/dev/null', program])

    def is_ready(self) -> bool:
        return accepts(self.port)


def start_subjects(stage: Stage) -> tuple[list[Subject], list[str]]:
    """Start all that can be started.

    :returns: these, and why others are left out.
    """
    subjects: list[Subject] = []
    notes: list[str] = []
    for name, start in _starters(stage):
        stage.report(f"starting {name}")
        try:
            subjects.append(start())
        except (Unmeasured, AssertionError) as error:
            lines = str(error).strip().splitlines()
            notes.append(f"{name} is left out: {lines[-1] if lines else 'it does not start'}")
            stage.report(notes[-1])
    return subjects, notes


def ours(subjects: list[Subject]) -> list[Subject]:
    """Those to measure where the upstream makes no difference: phpgw once, under that name."""
    first = next((each for each in subjects if isinstance(each.process, Gateway)), None)
    others = [each for each in subjects if not isinstance(each.process, Gateway)]
    return [attrs.evolve(first, name=PHPGW), *others] if first is not None else others


def _starters(stage: Stage) -> Iterator[tuple[str, Callable[[], Subject]]]:
    for upstream in UPSTREAMS:
        yield upstream.name, partial(_start_phpgw, stage, upstream)
    yield GO, partial(_start_go, stage)
    for name, url in stage.options.peers.items():
        yield name, partial(_meet_peer, stage, name, url)


def _start_phpgw(stage: Stage, upstream: Upstream) -> Subject:
    places = {"script": stage.script, "fpm": stage.php_fpm.endpoint, "url": stage.php_url}
    options = [option.format(**places) for option in (*upstream.options, *_NO_LIMITS)]
    gateway = Gateway(stage.directory / upstream.name.replace(" ", ""), *options)
    _start(stage, gateway)
    return Subject(upstream.name, gateway.ws_url, upstream.bound, stage, gateway)


def _start_go(stage: Stage) -> Subject:
    builder = stage.options.go_builder
    if not builder.exists():
        raise Unmeasured(f"what builds it is not there ({builder.name}; see --go-builder)")
    port = free_port()
    address = f"127.0.0.1:{port}"
    try:
        built = subprocess.run(
            tied([str(builder), str(_BUILD_DIRECTORY), stage.php_url, address]),
            capture_output=True,
            text=True,
            timeout=_BUILD_SECONDS,
        )
    except subprocess.TimeoutExpired as error:
        raise Unmeasured("building it took too long") from error
    if built.returncode:
        raise Unmeasured(built.stderr or f"{builder.name} failed")
    gateway = _GoGateway(stage.directory / "go", built.stdout.split()[-1], port)
    _start(stage, gateway)
    return Subject(GO, f"ws://{address}/ws", BEHIND_NGINX, stage, gateway)


def _meet_peer(stage: Stage, name: str, url: str) -> Subject:
    parts = urlsplit(url)
    if parts.hostname not in ("127.0.0.1", "localhost"):
        raise Unmeasured("only gateways on this machine's loopback are measured")
    if not accepts(parts.port or 80):
        raise Unmeasured(f"nobody listens at {url}")
    return Subject(name, url, BEHIND_NGINX, stage)


def _start(stage: Stage, process: Process) -> None:
    stage.exits.callback(process.stop)
    process.start()
