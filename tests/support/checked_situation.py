"""Situations for the probes of ``phpgw check``, and what a script may have replied."""

from typing import Any

import attrs

from phpgw.checks.finding import Finding, Level
from phpgw.checks.situation import Situation
from phpgw.settings import Settings

SCRIPT = "/srv/app/websocket.php"


def situation(**settings: Any) -> Situation:
    """Return the situation of a gateway that does not run, with these settings."""
    upstream = {} if "php_url" in settings else {"php_script": SCRIPT}
    return Situation.from_settings(Settings(**{**upstream, **settings}), "phpgw.toml")


def running(script: dict[str, Any] | None = None, **settings: Any) -> Situation:
    """Return the situation of a gateway that runs.

    :param script: how PHP has replied.
    """
    report: dict[str, Any] = {"open_files": 20_000}
    if script is not None:
        report["script"] = script
    return attrs.evolve(situation(**settings), report=report)


def replied(body: bytes = b"", status: int = 200, **more: Any) -> dict[str, Any]:
    """Return a reply to the check event, as the API has it."""
    return {
        "path": SCRIPT,
        "seconds": 0.01,
        "status": status,
        "media_type": "text/html",
        "location": "",
        "size": len(body),
        "body": body.decode("latin-1"),
        **more,
    }


def brief(finding: Finding) -> tuple[str, Level]:
    """Return what a finding is about, and its level."""
    return finding.id, finding.level
