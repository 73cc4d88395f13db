"""The gateway itself: whether it runs, and with the settings that are configured."""

from collections.abc import Mapping
from typing import Any

from phpgw.checks.finding import Finding, Subject

CONFIGURATION = Subject("configuration")
GATEWAY = Subject("gateway")
_MAX_NAMED = 5


def configured(source: str) -> Finding:
    """Return that the configuration is valid."""
    return CONFIGURATION.ok(f"The configuration is valid ({source})")


def not_configured() -> Finding:
    """Return that no configuration was given, and that of the gateway is used."""
    return CONFIGURATION.note(
        "No configuration was given; the settings are those of the gateway that runs",
        why="What a restart would do was not looked at.",
        fix="phpgw check --config /etc/phpgw.toml",
        where="a shell: the same file and options as for phpgw serve",
    )


def compared(
    source: str, configured_settings: Mapping[str, Any], in_force: Mapping[str, Any]
) -> Finding:
    """Return whether the gateway runs with the settings that are configured."""
    changed = [
        name for name, value in configured_settings.items() if in_force.get(name, value) != value
    ]
    if not changed:
        return configured(source)
    names = ", ".join(f"--{name}" for name in changed[:_MAX_NAMED])
    more = f" and {len(changed) - _MAX_NAMED} others" if len(changed) > _MAX_NAMED else ""
    return CONFIGURATION.note(
        f"The gateway runs with other settings than the configuration ({source}) has now",
        why="It reads its options at its start.",
        fix="systemctl restart phpgw",
        where="a shell; or name the gateway's own configuration with --config",
        seen=f"{names}{more}",
    )


def reached(address: str, report: Mapping[str, Any]) -> Finding:
    """Return that the gateway runs."""
    return GATEWAY.ok(
        f"The gateway runs (phpgw {report['version']}, process {report['pid']}, user "
        f"{report['user']}, {address})"
    )


def unreachable(reason: str) -> Finding:
    """Return that no gateway was reached."""
    return GATEWAY.wrong(
        "No gateway was reached",
        why="Browsers cannot connect, and most of this check needs it.",
        fix="phpgw serve --config /etc/phpgw.toml",
        where="a shell; or say where it runs: --config FILE, or --api URL",
        seen=reason.partition(";")[0],
    )


def refused(reason: str) -> Finding:
    """Return that the gateway runs, and refuses this program."""
    return GATEWAY.wrong(
        "The gateway refuses this program's requests, as it does PHP's",
        why="PHP cannot push messages either.",
        fix='api-listen = "127.0.0.1:8081"',
        where="the gateway's configuration; or a secret, with --api-token-file",
        seen=reason,
    )
