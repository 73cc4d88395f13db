"""Run the chat on loopback until Ctrl-C: the gateway, which starts a PHP-FPM, and its page.

All that is written goes to a temporary directory, which is removed at the end, but for the room's
own file.
"""

import argparse
import contextlib
import ctypes
import http.client
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

CHECKOUT = Path(__file__).resolve().parents[2]
CHAT = CHECKOUT / "examples" / "chat"

START_SECONDS = 15
STOP_SECONDS = 5
LOG_LINES = 20
PR_SET_PDEATHSIG = 1

BLOCK = """
  The chat is running: open it in two windows, and talk.

    Open   http://127.0.0.1:{web}/?gateway={gateway}
    Edit   {chat}/websocket.php: the next message runs what you wrote
    Logs   {directory}/*.log

  Ctrl-C stops everything.
"""

LIBC = ctypes.CDLL(None)


class DemoError(Exception):
    """The demo cannot go on, for a reason that its user can act on."""


class Child:
    """A server in the foreground, whose output goes to a log in the directory."""

    def __init__(self, name: str, command: list[str], directory: Path) -> None:
        self.name = name
        self.log = directory / f"{name}.log"
        with self.log.open("wb") as output:
            self.process = subprocess.Popen(
                command,
                cwd=directory,
                env=environment(),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C is for us alone; we stop them in order
                preexec_fn=die_with(os.getpid()),
            )

    def wait_until(self, answers: Callable[[], bool]) -> None:
        deadline = time.monotonic() + START_SECONDS
        while not answers():
            self.check()
            if time.monotonic() > deadline:
                raise DemoError(f"{self.name} does not answer.\n{self.tail()}")
            time.sleep(0.05)

    def check(self) -> None:
        status = self.process.poll()
        if status is not None:
            raise DemoError(f"{self.name} died (status {status}).\n{self.tail()}")

    def stop(self) -> None:
        self.process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(STOP_SECONDS)
        with contextlib.suppress(ProcessLookupError):  # the good case: nothing is left
            os.killpg(self.process.pid, signal.SIGKILL)  # workers, too, whose master was killed
        self.process.wait()

    def tail(self) -> str:
        lines = self.log.read_text("utf-8", "replace").splitlines()[-LOG_LINES:]
        return "\n".join(f"  {line}" for line in lines) or "  (it logged nothing)"


def die_with(parent: int) -> Callable[[], None]:
    """In a child, before its program starts: have Linux end it when we end, even by SIGKILL."""

    def prepare() -> None:
        LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:  # we were gone already
            os._exit(1)

    return prepare


def environment() -> dict[str, str]:
    """Ours, with this checkout's phpgw before an installed one, and no settings of another's."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("PHPGW_")}
    paths = [str(CHECKOUT), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**kept, "PYTHONPATH": os.pathsep.join(paths)}


def find_twistd() -> str:
    beside = Path(sys.executable).with_name("twistd")
    if not beside.exists():
        raise DemoError(f"twistd is missing beside {sys.executable}: pip install -e . first.")
    return str(beside)


def free_port(wanted: int = 0) -> int:
    """This port, or any. Somebody might take it before our server does; then that one says so."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("127.0.0.1", wanted))
        port: int = probe.getsockname()[1]
        return port


def web_port(wanted: int | None) -> int:
    if wanted is not None:
        try:
            return free_port(wanted)
        except (OSError, OverflowError) as error:
            reason = getattr(error, "strerror", None) or error
            raise DemoError(f"Port {wanted} cannot be used: {reason}") from None
    try:
        return free_port(8000)
    except OSError:
        return free_port()


def answers_http(port: int, path: str) -> Callable[[], bool]:
    def answers() -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
        try:
            connection.request("GET", path)
            connection.getresponse()  # whatever it says
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()
        return True

    return answers


def run(wanted_port: int | None, directory: Path, children: list[Child]) -> NoReturn:
    """Start everything and watch over it; what ends it is an exception."""
    twistd = find_twistd()
    web, gateway = web_port(wanted_port), free_port()

    def start(name: str, *command: str) -> Child:
        children.append(Child(name, list(command), directory))
        return children[-1]

    listen = ["--listen", f"tcp:{gateway}:interface=127.0.0.1"]
    php = ["--php-script", str(CHAT / "websocket.php")]
    if os.geteuid() == 0:
        # Root's checkout may be closed to every other user; /root is.
        php += ["--php-user", "root"]
    start("phpgw", twistd, "-n", "--pidfile=", "phpgw", *listen, *php).wait_until(
        answers_http(gateway, "/healthz")
    )
    page = [sys.executable, "-m", "http.server", "--bind", "127.0.0.1", "--directory", str(CHAT)]
    start("page", *page, str(web)).wait_until(answers_http(web, "/"))

    print(BLOCK.format(web=web, gateway=gateway, chat=CHAT, directory=directory), flush=True)
    while True:
        for child in children:
            child.check()
        time.sleep(0.2)


def interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def main() -> int:
    parser = argparse.ArgumentParser(description="Run the chat example until Ctrl-C.")
    parser.add_argument(
        "--port", type=int, help="where the page is served (default: 8000, or a free one)"
    )
    options = parser.parse_args()

    ends = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]
    for end in ends:
        signal.signal(end, interrupt)
    children: list[Child] = []
    with tempfile.TemporaryDirectory(prefix="phpgw-demo-") as directory:
        try:
            run(options.port, Path(directory), children)
        except KeyboardInterrupt:
            return 0
        except DemoError as trouble:
            print(f"demo: {trouble}", file=sys.stderr)
            return 1
        finally:
            for end in ends:
                signal.signal(end, signal.SIG_IGN)
            for child in reversed(children):  # the gateway first, while there is a PHP to answer it
                child.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
