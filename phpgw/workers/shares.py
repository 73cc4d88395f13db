"""The number of workers, and the share that each has of the gateway's limits."""

import attrs

from phpgw.backend.upstream import total_concurrency
from phpgw.process.processors import count_processors
from phpgw.settings import Settings
from phpgw.settings.option import InvalidOption


def count_workers(settings: Settings) -> int:
    """Return the number of workers: that of the processors, for ``auto``.

    :raises InvalidOption: if there are more than events that PHP works on at once: each worker
        needs one of them.
    """
    concurrency = total_concurrency(settings)
    if not settings.workers:
        return min(count_processors(), concurrency)
    if settings.workers > concurrency:
        raise InvalidOption(
            "workers",
            f"at most {concurrency}, since each needs a worker of PHP-FPM at least (see "
            "--php-concurrency, and --php-workers)",
            repr(str(settings.workers)),
        )
    return settings.workers


def share_of(settings: Settings, number: int, count: int) -> Settings:
    """Return the settings of one worker.

    Together, the workers have the clients, the events that wait, and the concurrency that the
    settings allow.

    :param settings: those of the whole gateway.
    :param number: the worker's, counted from 0.
    :param count: the number of workers.
    """

    def share(limit: int) -> int:
        return limit // count + (number < limit % count)

    def share_if_limited(limit: int) -> int:
        # 0 would mean no limit.
        return max(1, share(limit)) if limit else 0

    return attrs.evolve(
        settings,
        php_concurrency=max(1, share(total_concurrency(settings))),
        max_connections=share_if_limited(settings.max_connections),
        max_waiting=max(1, share(settings.max_waiting)),
    )
