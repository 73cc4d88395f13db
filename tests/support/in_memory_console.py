"""The web console of a gateway in memory, and browsers that use it."""

import json
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.support.fakes import REMOTE, Answer
from tests.support.in_memory_api import InMemoryApi, with_console

ORIGIN = "http://localhost:8080"
FROM_PAGE = {"Origin": ORIGIN, "Sec-Fetch-Site": "same-origin"}


class ConsoleTestCase(SynchronousTestCase):
    """A console, asked by browsers of another machine, and by programs of this one."""

    token: bytes | None = None

    def setUp(self) -> None:
        self.api = with_console(InMemoryApi(self.token))
        self.clock = self.api.clock

    def code(self) -> str:
        """Return a new code."""
        answer = self.api.ask("POST", "/console/code")
        self.assertEqual(200, answer.status, answer.body)
        code: str = json.loads(answer.body)["code"]
        return code

    def ask(
        self,
        method: str,
        target: str,
        headers: dict[str, str],
        body: bytes = b"",
        **more: Any,
    ) -> Answer:
        """Ask as a browser does, from another machine by default."""
        return self.api.ask(
            method, target, headers=headers.items(), body=body, **{"peer": REMOTE, **more}
        )

    def log_in(self, code: str, **headers: str) -> Answer:
        """Exchange a code for a session."""
        given = {**FROM_PAGE, "Phpgw-Console-Code": code, **headers}
        return self.ask("POST", "/console/session", given)

    def cookie(self) -> str:
        """Return the cookie of a new session, as browsers send it."""
        answer = self.log_in(self.code())
        self.assertEqual(204, answer.status, answer.body)
        return answer.headers["Set-Cookie"].partition(";")[0]
