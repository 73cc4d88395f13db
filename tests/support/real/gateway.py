"""The gateway as its users run it: a real twistd."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from twisted.internet.defer import Deferred

from tests.support.real.command import Ended, run
from tests.support.real.process import Process, accepts, free_port

ROOT = Path(__file__).resolve().parents[3]

# What the twistd script does. -P: it does not look for modules in the working directory either.
_TWISTD = (
    sys.executable,
    "-P",
    "-c",
    "import sys; from twisted.scripts.twistd import run; sys.argv[0] = 'twistd'; run()",
)


class Gateway(Process):
    """A gateway on a port of its own.

    :param arguments: options of ``twistd phpgw``, beyond ``--listen``.
    :param env: more environment variables.
    :param port: where it listens, if that has to be known before.
    """

    name = "gateway"
    # Longer than it lets PHP finish by default.
    stop_timeout = 20.0

    def __init__(
        self,
        directory: Path,
        *arguments: str,
        env: Mapping[str, str] | None = None,
        port: int | None = None,
    ) -> None:
        self.port = port or free_port()
        listen = f"tcp:{self.port}:interface=127.0.0.1"
        # The last port that it opens: once it accepts, all others do.
        command = _command_line(*arguments, "--listen", listen)
        super().__init__(directory, command, env=environment(env))

    def is_ready(self) -> bool:
        return accepts(self.port)

    @property
    def browser_port(self) -> int:
        """Return the port for browsers."""
        return self.port

    @property
    def ws_url(self) -> str:
        """Return the URL for browsers."""
        return f"ws://127.0.0.1:{self.port}/ws"

    @property
    def send_url(self) -> str:
        """Return the URL for pushes."""
        return f"http://127.0.0.1:{self.port}/send"

    @staticmethod
    def run(
        *arguments: str, env: Mapping[str, str] | None = None, timeout: float = 30.0
    ) -> Deferred[Ended]:
        """Run ``twistd phpgw`` with exactly these options until it ends by itself.

        :returns: its (status, stdout, stderr).
        """
        return run(_command_line(*arguments), env=environment(env), timeout=timeout)


def _command_line(*arguments: str) -> list[str]:
    return [*_TWISTD, "-n", "--pidfile=", "phpgw", *arguments]


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment of a Python process that is to find phpgw and its plugin."""
    # The gateway takes options from the environment: not from the developer's own.
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("PHPGW_")}
    search_path = [str(ROOT), inherited.get("PYTHONPATH", "")]
    inherited["PYTHONPATH"] = os.pathsep.join(filter(None, search_path))
    return {**inherited, **(extra or {})}
