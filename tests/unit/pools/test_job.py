"""Tests for :mod:`phpgw.pools.job`."""

import json
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from phpgw.pools.job import make_job, pools_of
from phpgw.settings import Settings
from phpgw.settings.pool_text import parse_pool


class JobTests(SynchronousTestCase):
    def test_same(self) -> None:
        """The process has the pools that the gateway has, behind a pipe."""
        file = Path(self.mktemp()).absolute()
        file.write_text("s3cret")
        texts = [
            f"a=mysql://app@h/shop?password-file={file}&size=3",
            "b=tls://h:1?listen=127.0.0.1:1&wait=9",
        ]
        settings = Settings(php_script="/a.php", pool=tuple(map(parse_pool, texts)))
        message = json.dumps(make_job(settings.pools(), "info"))
        self.assertNotIn("s3cret", message)
        self.assertEqual([*settings.pools()], pools_of(json.loads(message)))

    def test_file_is_gone(self) -> None:
        file = Path(self.mktemp()).absolute()
        file.touch()
        job = make_job([parse_pool(f"a=mysql://app@h?password-file={file}")], "info")
        file.unlink()
        self.assertRaises(ValueError, pools_of, job)
