"""The test case of ``phpgw check``."""

import json
import sys
from typing import Any

from tests.support.real.command import Ended, run
from tests.support.real.gateway import environment
from tests.support.real.system_test_case import SystemTestCase

_PHPGW = (sys.executable, "-m", "phpgw.cli", "check")

Found = dict[str, dict[str, str]]


class CheckTestCase(SystemTestCase):
    """Runs ``phpgw check``, and looks at its findings.

    :ivar port: the port of the gateway's API.
    """

    port: int

    async def run_check(self, *arguments: str, env: dict[str, str] | None = None) -> Ended:
        """Return the end of the command."""
        return await run([*_PHPGW, *arguments], env=environment(env), timeout=60)

    async def check(self, *arguments: str, env: dict[str, str] | None = None) -> Found:
        """Return the findings by their ids."""
        api = ("--api", f"http://127.0.0.1:{self.port}")
        ended = await self.run_check("--json", *api, *arguments, env=env)
        self.assertEqual("", ended.stderr)
        printed: dict[str, Any] = json.loads(ended.stdout)
        self.assertEqual(printed["status"], ended.status)
        return {finding["id"]: finding for finding in printed["findings"]}

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
