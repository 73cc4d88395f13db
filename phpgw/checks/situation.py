"""The situation that the probes look at: the settings, and the gateway's process if it runs."""

import os
from collections.abc import Mapping
from typing import Any, Self

import attrs

from phpgw.settings import Settings
from phpgw.settings.as_json import settings_as_json

# Where --php-concurrency is not given, and PHP is not the gateway's own.
_USUAL_CONCURRENCY = 5


@attrs.frozen
class Credentials:
    """The user and the groups of a process (credentials(7))."""

    uid: int
    gids: frozenset[int]

    @classmethod
    def own(cls) -> Self:
        """Return those of this process."""
        return cls(os.geteuid(), frozenset((os.getegid(), *os.getgroups())))


@attrs.frozen(kw_only=True)
class Situation:
    """The state of a gateway, as the probes know it.

    :ivar settings: the value of each option, as :func:`phpgw.settings.as_json.settings_as_json`
        has it.
    :ivar source: where the settings are, for people.
    :ivar credentials: those of the gateway; of this process if no gateway runs.
    :ivar concurrency: how many events PHP gets at once.
    :ivar is_here: whether the gateway is, or would be, on this machine.
    :ivar report: what the gateway says of itself (``POST /check``); ``None`` if it was not reached.
    """

    settings: Mapping[str, Any]
    source: str
    credentials: Credentials
    concurrency: int
    is_here: bool = True
    report: Mapping[str, Any] | None = None

    @classmethod
    def from_settings(cls, settings: Settings, source: str) -> Self:
        """Return the situation of a gateway that does not run."""
        usual = settings.php_workers if _runs_php(settings) else _USUAL_CONCURRENCY
        return cls(
            settings=settings_as_json(settings),
            source=source,
            credentials=Credentials.own(),
            concurrency=settings.php_concurrency or usual,
        )

    @classmethod
    def from_report(cls, report: Mapping[str, Any], source: str, *, is_here: bool) -> Self:
        """Return the situation of a gateway that runs.

        :param report: the response to ``POST /check``.
        """
        return cls(
            settings=report["settings"],
            source=source,
            credentials=Credentials(report["uid"], frozenset(report["gids"])),
            concurrency=report["concurrency"],
            is_here=is_here,
            report=report,
        )

    @property
    def script(self) -> Mapping[str, Any] | None:
        """Return how PHP has replied to the gateway; ``None`` if it was not asked."""
        return None if self.report is None else self.report.get("script")

    @property
    def runs_php(self) -> bool:
        """Return whether the gateway runs its own PHP-FPM."""
        return self.settings["php-url"] is None and self.settings["php-fpm"] is None


def _runs_php(settings: Settings) -> bool:
    return settings.php_url is None and settings.php_fpm is None
