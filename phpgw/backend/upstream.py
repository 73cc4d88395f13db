"""Which way to PHP the settings name: a web server, a running PHP-FPM, or one of our own."""

import time
from pathlib import Path
from typing import Any

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.python.failure import Failure
from zope.interface import implementer

from phpgw.backend.concurrency_limit import ConcurrencyLimit
from phpgw.backend.errors import BackendUnreachable, Withdrawn
from phpgw.backend.event import Event
from phpgw.backend.fastcgi.backend import make_fastcgi_backend
from phpgw.backend.fpm.config import FpmConfig, FpmUnusable, InvalidPool, find_php_fpm
from phpgw.backend.fpm.installed import find_pool, is_too_long
from phpgw.backend.fpm.manager import ManagedFpm
from phpgw.backend.host_endpoint import client_for
from phpgw.backend.http.backend import make_http_backend
from phpgw.backend.interface import IBackend
from phpgw.backend.reply import Follow, Reply
from phpgw.backend.signature import Signer
from phpgw.metrics import Metrics
from phpgw.settings import Settings
from phpgw.settings.option import InvalidOption
from phpgw.settings.secret import read_secret
from phpgw.settings.values import existing_file

_NOT_READY = "the gateway's PHP-FPM is not ready"
# Where --php-concurrency is not given: PHP-FPM's own pm.max_children, as it is installed.
_USUAL_CONCURRENCY = 5


@attrs.frozen
class Upstream:
    """A way to PHP.

    :ivar backend: what is asked.
    :ivar description: where PHP is, for the log.
    :ivar concurrency: how many events PHP works on at once.
    :ivar service: what has to run for it, if anything.
    :ivar hints: what had better be changed there.
    """

    backend: IBackend
    description: str
    concurrency: int
    service: ManagedFpm | None = None
    hints: tuple[str, ...] = ()


def make_upstream(settings: Settings, reactor: Any, metrics: Metrics) -> Upstream:
    """The way to PHP that the settings name.

    :raises InvalidOption: if it cannot be gone.
    """
    common = _Common(settings=settings, reactor=reactor, metrics=metrics, signer=_signer(settings))
    if settings.php_url is not None:
        return _through_web_server(settings.php_url, common)
    if settings.php_fpm is not None:
        return _to_running_fpm(settings.php_fpm, common)
    return _to_own_fpm(common)


@attrs.frozen(kw_only=True)
class _Common:
    """What is known, whichever way it is."""

    settings: Settings
    reactor: Any
    metrics: Metrics
    signer: Signer | None

    @property
    def script(self) -> str:
        assert self.settings.php_script is not None  # a rule of Settings
        return self.settings.php_script


def _through_web_server(url: str, common: _Common) -> Upstream:
    settings = common.settings
    concurrency = settings.php_concurrency or _USUAL_CONCURRENCY
    try:
        backend = make_http_backend(
            common.reactor,
            url=url,
            timeout=settings.php_timeout,
            concurrency=concurrency,
            max_reply_size=settings.max_reply_size,
            signer=common.signer,
            metrics=common.metrics,
        )
    except UnicodeError as error:
        expected = f"for https: the name of a host that a certificate can be for ({error})"
        raise InvalidOption("php-url", expected, repr(url)) from error
    limited = ConcurrencyLimit(
        common.reactor,
        backend,
        limit=concurrency,
        timeout=settings.waiting_timeout,
        longest_run=settings.php_max_run,
        metrics=common.metrics,
    )
    return Upstream(limited, f"at {url}", concurrency)


def _to_running_fpm(endpoint: str, common: _Common) -> Upstream:
    if is_too_long(endpoint):
        raise InvalidOption("php-fpm", "a socket with a path of 107 bytes at most", repr(endpoint))
    try:
        client = client_for(common.reactor, endpoint)
    except Exception as error:
        # Each kind of endpoint raises what it likes.
        expected = f"a Twisted client endpoint ({type(error).__name__}: {error})"
        raise InvalidOption("php-fpm", expected, repr(endpoint)) from error
    concurrency = common.settings.php_concurrency or _USUAL_CONCURRENCY
    backend = _fastcgi(client, common, concurrency)
    pool = find_pool(endpoint)
    hints = [] if pool is None else [*pool.hints(concurrency)]
    if endpoint.startswith("unix:") and _is_missing(common.script):
        hints.append(
            f"--php-script {common.script} is not there as the gateway sees the file system; its "
            "path is the one that PHP-FPM sees (which may run in a container, or with chroot=)"
        )
    description = f"{common.script} run by {endpoint}"
    return Upstream(backend, description, concurrency, hints=tuple(hints))


def _is_missing(script: str) -> bool:
    """Return whether it is certainly not there; we need not be allowed to see it."""
    try:
        return not Path(script).exists()
    except PermissionError:
        return False
    except OSError:
        return True


def _to_own_fpm(common: _Common) -> Upstream:
    settings, reactor, script = common.settings, common.reactor, common.script
    try:
        existing_file(script)
    except ValueError as error:
        raise InvalidOption("php-script", str(error), repr(script)) from None
    binary = settings.php_fpm_binary or find_php_fpm()
    if binary is None:
        raise InvalidOption(
            "php-script",
            "a php-fpm to run it, and none was found: apt-get install php-fpm "
            "(or name one with --php-fpm-binary, or a running one with --php-fpm)",
            repr(script),
        )
    config = FpmConfig(
        binary=binary,
        workers=settings.php_workers,
        user=settings.php_user,
        script_seconds=settings.php_max_run,
        message_size=settings.max_message_size,
        pool_file=settings.php_fpm_conf,
        env=settings.php_env,
    )
    try:
        config.check()
    except InvalidPool as error:
        raise InvalidOption(
            "php-fpm-conf", "settings of a pool that PHP-FPM takes", str(error)
        ) from error
    except FpmUnusable as error:
        raise InvalidOption("php-fpm-binary", f"a PHP-FPM that works ({error})") from error
    fpm = ManagedFpm(reactor, config)
    # More events than workers would only wait for each other.
    workers = settings.php_workers
    concurrency = min(settings.php_concurrency or workers, workers)
    fastcgi = _fastcgi(fpm, common, concurrency)
    backend = _OnceReady(reactor, fpm, fastcgi, settings.php_timeout)
    return Upstream(backend, f"{script} run by a {binary.name} of our own", concurrency, fpm)


def _fastcgi(client: IStreamClientEndpoint, common: _Common, concurrency: int) -> IBackend:
    settings = common.settings
    try:
        return make_fastcgi_backend(
            common.reactor,
            endpoint=client,
            script=common.script,
            document_root=settings.php_root,
            timeout=settings.php_timeout,
            queue_timeout=settings.waiting_timeout,
            concurrency=concurrency,
            max_reply_size=settings.max_reply_size,
            signer=common.signer,
            metrics=common.metrics,
        )
    except ValueError as error:
        raise InvalidOption(
            "php-root", "a directory with the script in it", repr(settings.php_root)
        ) from error


def _signer(settings: Settings) -> Signer | None:
    path = settings.secret_file
    return None if path is None else Signer(read_secret("secret-file", path), time.time)


@implementer(IBackend)
class _OnceReady:
    """Asks a PHP-FPM of our own, once it takes connections."""

    def __init__(self, reactor: Any, fpm: ManagedFpm, backend: IBackend, timeout: float) -> None:
        self._reactor = reactor
        self._fpm = fpm
        self._backend = backend
        self._timeout = timeout
        # What waits until it is.
        self._waiting: dict[Deferred[Reply], Event | None] = {}

    def ask(self, event: Event, follow: Follow | None = None) -> Deferred[Reply]:
        if self._fpm.is_ready:
            return self._backend.ask(event, follow)
        asked = self._when_ready()
        self._waiting[asked] = event

        def go_on(outcome: Any) -> Any:
            is_withdrawn = self._waiting.pop(asked) is None
            return Failure(Withdrawn(BackendUnreachable(_NOT_READY))) if is_withdrawn else outcome

        asked.addBoth(go_on)
        return asked.addCallback(lambda _: self._backend.ask(event, follow))

    def withdraw(self, client_id: str) -> None:
        for asked, event in list(self._waiting.items()):
            if event is not None and event.is_of(client_id):
                self._waiting[asked] = None
                asked.cancel()
        self._backend.withdraw(client_id)

    def probe(self) -> Deferred[None]:
        return self._when_ready().addCallback(lambda _: self._backend.probe())

    def close(self) -> Deferred[None]:
        return self._backend.close()

    def _when_ready(self) -> Deferred[Any]:
        ready: Deferred[Any] = self._fpm.when_ready()
        return ready.addTimeout(self._timeout, self._reactor, onTimeoutCancel=_not_ready)


def _not_ready(outcome: object, seconds: float) -> None:
    raise BackendUnreachable(f"PHP-FPM did not start within {seconds:g} s (--php-timeout)")
