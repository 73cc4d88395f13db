"""The configured way to PHP, as the rest of the gateway knows it."""

from collections.abc import Callable, Mapping
from typing import Any

import attrs
from twisted.application.service import Service
from twisted.internet.defer import Deferred, succeed

from phpgw.backend.interface import IBackend
from phpgw.backend.signature import Signer
from phpgw.metrics import Metrics
from phpgw.observable import Observable
from phpgw.settings import Settings

# Where --php-concurrency is not given: PHP-FPM's own pm.max_children, as it is installed.
_USUAL_CONCURRENCY = 5


class UpstreamService(Service):
    """The processes that an upstream needs: none, where PHP is run by others.

    :ivar is_reloadable: whether :meth:`reload` does anything.
    """

    is_reloadable = False

    def obstacle(self) -> str | None:
        """Return why PHP cannot be asked now; ``None`` if nothing is known to be in the way."""
        return None

    def when_ready(self) -> Deferred[None]:
        """Return a Deferred that fires once the processes can be asked."""
        return succeed(None)

    def reload(self) -> Deferred[bool]:
        """Have PHP read its settings and all code again.

        :returns: fires with whether that has been done.
        """
        return succeed(False)

    def stop_within(self, seconds: float) -> Deferred[None]:
        """Stop, by force after so many seconds; fire once all processes have ended."""
        super().stopService()
        return succeed(None)


@attrs.frozen(kw_only=True)
class Upstream:
    """The configured way to PHP.

    :ivar backend: hands events to PHP.
    :ivar description: where PHP is, for the log.
    :ivar concurrency: how many events PHP works on at once.
    :ivar concurrency_note: what the log says behind that number.
    :ivar has_web_server: whether a web server stands between the gateway and PHP, with error pages
        of its own.
    :ivar outage_statuses: the status codes that mean an outage of PHP as a whole.
    :ivar service: what has to run for it.
    :ivar hints: what the operator should change there, for the log.
    :ivar observables: the metrics of its connections and processes.
    """

    backend: IBackend
    description: str
    concurrency: int
    concurrency_note: str = ""
    has_web_server: bool = False
    outage_statuses: frozenset[int] = frozenset()
    service: UpstreamService = attrs.field(factory=UpstreamService)
    hints: tuple[str, ...] = ()
    observables: tuple[Observable, ...] = ()


def observable_connections(count: Callable[[], Mapping[str, int]]) -> Observable:
    """Return the metric of the connections to PHP.

    :param count: returns how many there are, by state.
    """
    return Observable(
        name="php_connections",
        help="Connections to PHP, by what they do.",
        labels=("state",),
        observe=lambda: {(state,): number for state, number in count().items()},
    )


@attrs.frozen(kw_only=True)
class BackendContext:
    """The context that every backend is made with.

    :ivar signer: signs each event, if events are to be signed.
    """

    settings: Settings
    reactor: Any
    metrics: Metrics
    signer: Signer | None

    @property
    def script(self) -> str:
        """Return the path of the script, for a backend that runs it itself."""
        assert self.settings.php_script is not None  # a rule of Settings
        return self.settings.php_script

    @property
    def concurrency(self) -> int:
        """Return how many events PHP works on at once."""
        return total_concurrency(self.settings)

    @property
    def concurrency_note(self) -> str:
        """Return a note for the log if :attr:`concurrency` is a guess."""
        is_guess = self.settings.php_concurrency is None
        return " (--php-concurrency; at most its pm.max_children)" if is_guess else ""


def total_concurrency(settings: Settings) -> int:
    """Return how many events PHP works on at once."""
    if settings.php_url is None and settings.php_fpm is None:
        # More events than workers would only wait for each other.
        return min(settings.php_concurrency or settings.php_workers, settings.php_workers)
    return settings.php_concurrency or _USUAL_CONCURRENCY
