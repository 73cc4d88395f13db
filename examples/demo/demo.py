"""Run the chat on loopback until Ctrl-C: the gateway with a PHP-FPM, and PHP for the pages.

All that is written goes to a temporary directory, which is removed at the end. Started as root, PHP
runs as another user all the same.
"""

import argparse
import contextlib
import ctypes
import http.client
import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

CHECKOUT = Path(__file__).resolve().parents[2]
CHAT = CHECKOUT / "examples" / "chat"

START_SECONDS = 15
STOP_SECONDS = 5
LOG_LINES = 20
# Of what the gateway complains about in a fifth of a second.
MOST_LINES = 60
PR_SET_PDEATHSIG = 1

BLOCK = """
  The chat is running. Open it, and once more in a private window, as somebody else.

    Open   http://127.0.0.1:{web}/
    Push   curl -d message=Hello -d group=Lounge http://127.0.0.1:{api}/send
    Edit   {chat}/websocket.php: the next message runs what you wrote;
           break it, and see the error here and in the page
    Logs   {directory}/*.log; what goes wrong with PHP is shown here, too

  Ctrl-C stops everything.
"""

# Read by both PHPs, the gateway's and the pages', beside what is configured on this machine.
PHP_INI = """\
; One place for sessions: what login.php writes, websocket.php finds.
session.save_path = "{data}"
; ... and for the rooms' history.
sys_temp_dir = "{data}"
; A change of a script is seen at once.
opcache.revalidate_freq = 0
; Where app.php finds the gateway's API, and where the page finds its WebSocket.
phpgw.api = "http://127.0.0.1:{api}"
phpgw.port = {gateway}
"""

# What PHP-FPM writes about a script comes with the script's event, too.
COMPLAINT = re.compile(rb"\S+ (?:warn|error|critical) +(?!backend\.fpm\.)\S+: ")

# A further line of a complaint, such as PHP's trace.
DETAIL = b"    "

LIBC = ctypes.CDLL(None)


class DemoError(Exception):
    """The demo cannot go on, for a reason that its user can act on."""


class Child:
    """A server in the foreground, whose output goes to a log in the directory."""

    def __init__(
        self,
        name: str,
        command: list[str],
        directory: Path,
        answers: Callable[[], bool],
        user: pwd.struct_passwd | None = None,
    ) -> None:
        self.name = name
        self.user = user
        self.command = command
        self.directory = directory
        self.answers = answers
        self.log = directory / f"{name}.log"
        self.start()

    def start(self) -> None:
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                self.command,
                cwd=self.directory,
                env=environment(self.directory),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C is for us alone; we stop them in order
                **as_user(self.user),
                preexec_fn=die_with(os.getpid()),
            )

    def wait(self) -> None:
        """Return once it answers."""
        deadline = time.monotonic() + START_SECONDS
        while not self.answers():
            if self.process.poll() is not None:
                raise DemoError(f"{self.name} died ({self.status}).\n{self.tail()}")
            if time.monotonic() > deadline:
                raise DemoError(f"{self.name} does not answer.\n{self.tail()}")
            time.sleep(0.05)

    def keep(self) -> None:
        """Start it again if it has ended: somebody tries what the chat makes of that."""
        if self.process.poll() is not None:
            print(f"  {self.name} ended ({self.status}); starting it again.", flush=True)
            self.stop()
            self.start()
            self.wait()

    @property
    def status(self) -> str:
        return f"status {self.process.returncode}"

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


class Complaints:
    """What the gateway complains about, for whoever sits at the terminal.

    :param log: the gateway's log.
    """

    def __init__(self, log: Path) -> None:
        self._log = log
        self._position = 0
        self._is_complaint = False

    def show(self) -> None:
        """Print what has been added since the last call."""
        with self._log.open("rb") as file:
            file.seek(self._position)
            *lines, rest = file.read().split(b"\n")
            self._position = file.tell() - len(rest)
        found = []
        for line in lines:
            if not line.startswith(DETAIL):
                self._is_complaint = bool(COMPLAINT.match(line))
                line = line.partition(b": ")[2]
            if self._is_complaint:
                found.append(line.decode("utf-8", "replace"))
        for text in found[:MOST_LINES]:
            print(f"  {text}", flush=True)
        if len(found) > MOST_LINES:
            print(f"  ... and {len(found) - MOST_LINES} more lines in {self._log}", flush=True)


def php_user() -> pwd.struct_passwd | None:
    """Return who runs PHP, if it must not be us: an example is copied, and root is not for PHP."""
    if os.geteuid() != 0:
        return None
    for name in ("www-data", "nobody"):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name)
    raise DemoError("There is no user www-data or nobody to run PHP; start the demo as a user.")


def as_user(user: pwd.struct_passwd | None) -> dict[str, Any]:
    """Return the arguments with which subprocess starts a program as this user."""
    if user is None:
        return {}
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}


def readable_chat(user: pwd.struct_passwd | None, directory: Path) -> Path:
    """Return the chat's directory; a copy of it where the user cannot read the checkout."""
    script = CHAT / "websocket.php"
    if subprocess.run(["test", "-r", script], check=False, **as_user(user)).returncode == 0:
        return CHAT
    copy = directory / "checkout"
    for part in (CHAT.relative_to(CHECKOUT), Path("php")):
        shutil.copytree(CHECKOUT / part, copy / part)
    return copy / CHAT.relative_to(CHECKOUT)


def die_with(parent: int) -> Callable[[], None]:
    """In a child, before its program starts: have Linux end it when we end, even by SIGKILL."""

    def prepare() -> None:
        LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:  # we were gone already
            os._exit(1)

    return prepare


def environment(directory: Path) -> dict[str, str]:
    """Ours, with this checkout's phpgw before an installed one, and no settings of another's."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("PHPGW_")}
    paths = [str(CHECKOUT), *filter(None, [os.environ.get("PYTHONPATH")])]
    # PHP reads the .ini files in all of these; an empty one is where it looks by itself.
    inis = [os.environ.get("PHP_INI_SCAN_DIR", ""), str(directory / "php")]
    return {
        **kept,
        "PYTHONPATH": os.pathsep.join(paths),
        "PHP_INI_SCAN_DIR": os.pathsep.join(inis),
    }


def find_twistd() -> str:
    beside = Path(sys.executable).with_name("twistd")
    if not beside.exists():
        raise DemoError(f"twistd is missing beside {sys.executable}: pip install -e . first.")
    return str(beside)


def find_php() -> str:
    php = shutil.which("php")
    if php is None:
        raise DemoError("php is missing, which serves the pages: apt-get install php-cli")
    return php


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


def run(wanted_port: int | None, workers: str, directory: Path, children: list[Child]) -> NoReturn:
    """Start everything and watch over it; what ends it is an exception."""
    twistd, php = find_twistd(), find_php()
    web, gateway, api = web_port(wanted_port), free_port(), free_port()
    user, data = php_user(), directory / "data"
    data.mkdir(mode=0o700)
    if user is not None:
        directory.chmod(0o711)
        os.chown(data, user.pw_uid, user.pw_gid)
    chat = readable_chat(user, directory)
    ini = PHP_INI.format(data=data, gateway=gateway, api=api)
    inis = directory / "php"
    inis.mkdir(mode=0o755)
    (inis / "chat.ini").write_text(ini)

    def start(
        name: str,
        command: list[str],
        answers: Callable[[], bool],
        user: pwd.struct_passwd | None = None,
    ) -> Child:
        children.append(Child(name, command, directory, answers, user))
        children[-1].wait()
        return children[-1]

    options = [
        f"--listen=tcp:{gateway}:interface=127.0.0.1",
        f"--api-listen=tcp:{api}:interface=127.0.0.1",
        f"--php-script={chat / 'websocket.php'}",
        "--events=connect,disconnect",
        "--timer=clock=1s",
        "--client-id=random",
        f"--workers={workers}",
        # So that the page can show what PHP has failed on: see failed() in chat.js.
        "--dev",
        '--error-reply={"event": "failed", "id": "%id%", "error": "%error%"}',
    ]
    if user is not None:
        options.append(f"--php-user={user.pw_name}")
    command = [twistd, "-n", "--pidfile=", "phpgw", *options]
    complaints = Complaints(start("gateway", command, answers_http(api, "/healthz")).log)
    command = [php, "-S", f"127.0.0.1:{web}", "-t", str(chat / "public")]
    start("pages", command, answers_http(web, "/icon.svg"), user)

    block = BLOCK.format(web=web, api=api, chat=chat, directory=directory)
    print(block, flush=True)
    while True:
        for child in children:
            child.keep()
        complaints.show()
        time.sleep(0.2)


def interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def main() -> int:
    parser = argparse.ArgumentParser(description="Run the chat example until Ctrl-C.")
    parser.add_argument(
        "--port", type=int, help="where the page is served (default: 8000, or a free one)"
    )
    parser.add_argument(
        "--workers", default="1", help="the number of the gateway's processes, or auto (default: 1)"
    )
    options = parser.parse_args()

    ends = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]
    for end in ends:
        signal.signal(end, interrupt)
    children: list[Child] = []
    with tempfile.TemporaryDirectory(prefix="phpgw-demo-") as directory:
        try:
            run(options.port, options.workers, Path(directory), children)
        except KeyboardInterrupt:
            return 0
        except DemoError as trouble:
            print(f"demo: {trouble}", file=sys.stderr)
            return 1
        finally:
            for end in ends:
                signal.signal(end, signal.SIG_IGN)
            for child in reversed(children):
                child.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
