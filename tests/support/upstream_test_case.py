"""A test case for upstreams."""

from pathlib import Path
from typing import Any

from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from phpgw.backend.selection import make_upstream
from phpgw.backend.upstream import Upstream
from phpgw.metrics import Metrics
from phpgw.settings import Settings
from phpgw.settings.option import InvalidOption


class UpstreamTestCase(SynchronousTestCase):
    """Makes upstreams from settings."""

    def upstream(self, **settings: Any) -> Upstream:
        return make_upstream(Settings(**settings), MemoryReactorClock(), Metrics())

    def complaint(self, **settings: Any) -> str:
        return str(self.assertRaises(InvalidOption, self.upstream, **settings))

    def script(self) -> str:
        path = Path(self.mktemp()).absolute()
        path.write_text("<?php")
        return str(path)
