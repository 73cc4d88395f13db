"""The settings as JSON, for programs that the gateway may tell them."""

from typing import Any

import attrs

from phpgw.settings import Settings
from phpgw.timers.rules import Timer


def settings_as_json(settings: Settings) -> dict[str, Any]:
    """Return the value of each option by its name. No secret is among them.

    Of environment variables and timers there are only the names.
    """
    values = {
        field.name.replace("_", "-"): _plain(getattr(settings, field.name))
        for field in attrs.fields(Settings)
    }
    return values | {"php-env": [name for name, _ in settings.php_env]}


def _plain(value: object) -> Any:
    """Return a value with JSON's own types alone."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, tuple):
        return [_plain(each) for each in value]
    if isinstance(value, frozenset):
        return sorted(value)
    return value.name if isinstance(value, Timer) else str(value)
