"""Tests for :mod:`phpgw.backend.fpm.config` with a real PHP-FPM."""

from pathlib import Path
from typing import Any

from phpgw.backend.fpm.config import (
    FpmConfig,
    FpmUnusable,
    InvalidPool,
    find_php_fpm,
)
from tests.support.fpm_config_test_case import FpmConfigTestCase
from tests.support.real.process import find

_SOCKET = Path("/nowhere/1.sock")


class CheckTests(FpmConfigTestCase):
    def real(self, pool: str | None = None, **changes: Any) -> FpmConfig:
        binary = find_php_fpm() or find(["php-fpm"], "php-fpm")
        return self.config(pool, **{"binary": Path(binary), **changes})

    def test_good(self) -> None:
        self.real("pm.max_requests = 500", env=(("A", '"'),)).check()

    def test_configuration_it_does_not_like(self) -> None:
        error = self.assertRaises(FpmUnusable, self.real(workers=0).check)
        self.assertIn("max_children", str(error))

    def test_pool_settings_it_does_not_like(self) -> None:
        """It is their option that is named."""
        error = self.assertRaises(InvalidPool, self.real("nonsense = 1").check)
        self.assertIn("nonsense", str(error))
        self.assertRaises(FpmUnusable, self.real("pm.max_requests = 1", workers=0).check)

    def test_program_that_is_none(self) -> None:
        self.assertRaises(FpmUnusable, self.config(binary=Path("/etc/hostname")).check)
