"""The gateways that are measured: ours with each upstream, and their peers."""

import shutil
import subprocess
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import attrs

from benchmarks.api import CommandsApi, NchanApi, PushpinApi, SendApi
from benchmarks.contest import Unmeasured
from benchmarks.cpu import Roles
from benchmarks.listener import listening_on
from benchmarks.peers import Nchan, Pushpin
from benchmarks.stage import Stage
from tests.support.real.gateway import ROOT, Gateway
from tests.support.real.process import Process, accepts, free_port, tied
from tests.support.real.process_table import descendants

GO = "Go gateway"
NCHAN = "Nchan"
PUSHPIN = "Pushpin"
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
NO_LIMITS = ("--max-message-rate=0", "--max-connections=0")

UPSTREAMS = (
    Upstream("phpgw, FastCGI", ("--php-script={script}", "--php-fpm={fpm}"), BY_FASTCGI),
    Upstream(
        "phpgw, own PHP-FPM", ("--php-script={script}", "--php-workers={workers}"), BY_FASTCGI
    ),
    Upstream("phpgw, HTTP", ("--php-url={url}",), BEHIND_NGINX),
)


@attrs.frozen
class Subject:
    """A gateway that runs.

    :ivar ws_url: where clients connect, with {n} where a client has to give itself an id.
    :ivar bound: the name of the bound of its round trip.
    :ivar api: how PHP pushes.
    :ivar process: unless somebody else runs it.
    :ivar is_family: whether the processes that it starts belong to it; otherwise, they are PHP's.
    """

    name: str
    ws_url: str
    bound: str
    stage: Stage
    api: SendApi
    process: Process | None = None
    is_family: bool = False

    def gateway_pids(self) -> list[int]:
        """The gateway itself; empty if it is not on this machine."""
        if self.process is None:
            return listening_on(urlsplit(self.ws_url).port or 80)
        return [self.process.pid, *(self._started_by_it() if self.is_family else ())]

    def roles(self) -> Roles:
        """Who takes part in its round trip."""
        # One that runs a PHP-FPM of its own.
        own = () if self.is_family else self._started_by_it()
        return {
            "gateway": self.gateway_pids(),
            "nginx": self.stage.nginx_pids(),
            "php": [*self.stage.php_pids(), *own],
        }

    def _started_by_it(self) -> list[int]:
        if self.process is None:
            return []
        return [each.pid for each in descendants(self.process.pid)]

    def last_words(self) -> str:
        """The end of its log, for a note on what went wrong."""
        lines = self.process.log.splitlines() if self.process is not None else []
        return f" (its log ends with {lines[-1][-200:]!r})" if lines else ""

    def renew(self) -> None:
        """Start it again, if it is ours: what it has been through is not to be measured.

        :raises Unmeasured: if it does not start.
        """
        if self.process is not None:
            try:
                self.process.restart()
            except AssertionError as error:
                raise Unmeasured(
                    f"it does not start again: {str(error).splitlines()[0]}"
                ) from error


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
    yield NCHAN, partial(_start_nchan, stage)
    yield PUSHPIN, partial(_start_pushpin, stage)
    for name, url in stage.options.peers.items():
        yield name, partial(_meet_peer, stage, name, url)


def _start_phpgw(stage: Stage, upstream: Upstream) -> Subject:
    places = {
        "script": stage.script,
        "fpm": stage.php_fpm.endpoint,
        "url": stage.php_url,
        "workers": stage.options.workers,
    }
    options = [option.format(**places) for option in (*upstream.options, *NO_LIMITS)]
    gateway = Gateway(stage.directory / upstream.name.replace(" ", ""), *options)
    _start(stage, gateway)
    api = CommandsApi(_base_url(gateway.ws_url))
    return Subject(upstream.name, gateway.ws_url, upstream.bound, stage, api, gateway)


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
    # Another stage may have another one built, in the same place.
    program = stage.directory / "go-gateway"
    shutil.copy(built.stdout.split()[-1], program)
    gateway = _GoGateway(stage.directory / "go", str(program), port)
    _start(stage, gateway)
    api = SendApi(f"http://{address}")
    return Subject(GO, f"ws://{address}/ws", BEHIND_NGINX, stage, api, gateway)


def _start_nchan(stage: Stage) -> Subject:
    nchan = Nchan(stage)
    _start(stage, nchan)
    url, api = f"ws://127.0.0.1:{nchan.port}/ws", NchanApi(f"http://127.0.0.1:{nchan.port}")
    return Subject(NCHAN, url, BY_FASTCGI, stage, api, nchan, is_family=True)


def _start_pushpin(stage: Stage) -> Subject:
    pushpin = Pushpin(stage)
    _start(stage, pushpin)
    url = f"ws://127.0.0.1:{pushpin.port}/pushpin.php?id={{n}}"
    api = PushpinApi(f"http://127.0.0.1:{pushpin.publish_port}")
    return Subject(PUSHPIN, url, BEHIND_NGINX, stage, api, pushpin, is_family=True)


def _meet_peer(stage: Stage, name: str, url: str) -> Subject:
    parts = urlsplit(url)
    if parts.hostname not in ("127.0.0.1", "localhost"):
        raise Unmeasured("only gateways on this machine's loopback are measured")
    if not accepts(parts.port or 80):
        raise Unmeasured(f"nobody listens at {url}")
    return Subject(name, url, BEHIND_NGINX, stage, CommandsApi(_base_url(url)))


def _base_url(ws_url: str) -> str:
    return f"http://{urlsplit(ws_url).netloc}"


def _start(stage: Stage, process: Process) -> None:
    stage.exits.callback(process.stop)
    process.start()
