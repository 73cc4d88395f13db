"""The test case of ``phpgw check``."""

import json
import sys
from collections.abc import Mapping
from typing import Any

from tests.support.real.command import Ended, run
from tests.support.real.gateway import environment
from tests.support.real.system_test_case import SystemTestCase

_PHPGW = (sys.executable, "-m", "phpgw.cli", "check")

Found = dict[str, dict[str, str]]


async def run_check(*arguments: str, env: Mapping[str, str] | None = None) -> Ended:
    """Return the end of the command."""
    return await run([*_PHPGW, *arguments], env=environment(env), timeout=60)


async def check(*arguments: str, env: Mapping[str, str] | None = None) -> Found:
    """Return the findings by their ids."""
    ended = await run_check("--json", *arguments, env=env)
    assert not ended.stderr, ended.stderr
    printed: dict[str, Any] = json.loads(ended.stdout)
    assert printed["status"] == ended.status
    return {finding["id"]: finding for finding in printed["findings"]}


class CheckTestCase(SystemTestCase):
    """Runs ``phpgw check``, and looks at its findings.

    :ivar port: the port of the gateway's API.
    """

    port: int

    async def check(self, *arguments: str) -> Found:
        """Return the findings about the gateway by their ids."""
        return await check("--api", f"http://127.0.0.1:{self.port}", *arguments)

    def assert_level(self, found: Found, name: str, level: str) -> dict[str, str]:
        """Check the level of a finding, and return it. What is wrong has all that helps."""
        finding = found[name]
        self.assertEqual(level, finding["level"], finding)
        if level == "wrong":
            for field in ("what", "why", "fix", "where"):
                self.assertTrue(finding[field], finding)
        return finding

    def assert_nothing_wrong(self, found: Found) -> None:
        """Check that a right set-up is not called wrong."""
        for finding in found.values():
            self.assertNotIn(finding["level"], ("wrong", "warn"), finding)
