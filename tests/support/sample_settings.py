"""Settings for the tests of printed configurations."""

from collections.abc import Sequence

from phpgw.settings.option import Given
from phpgw.settings.sources import given_on_command_line


def given(**texts: str | list[str]) -> dict[str, Sequence[Given]]:
    """Return the settings with these texts, by their names with underscores."""
    return {
        name.replace("_", "-"): given_on_command_line([text] if isinstance(text, str) else text)
        for name, text in texts.items()
    }
