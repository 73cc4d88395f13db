"""The test case of PHP-FPM's configuration."""

from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from phpgw.backend.fpm.config import FpmConfig


class FpmConfigTestCase(SynchronousTestCase):
    """Makes configurations that are valid but for what a test changes."""

    def config(self, pool: str | None = None, **changes: Any) -> FpmConfig:
        """Make a configuration.

        :param pool: the content of its pool file; ``None`` for no such file.
        """
        usual: dict[str, Any] = {
            "binary": Path("/usr/sbin/php-fpm"),
            "workers": 2,
            "user": None,
            "script_seconds": 10.5,
            "message_size": 4_000_000,
        }
        if pool is not None:
            usual["pool_file"] = Path(self.mktemp())
            usual["pool_file"].write_text(pool)
        return FpmConfig(**{**usual, **changes})
