"""The probe of PHP's address: the socket or port of PHP-FPM, or of the web server before PHP."""

import errno
import re
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

from phpgw.backend.fpm.installed import listen_addresses
from phpgw.checks.addresses import Address, HostPort, UnixPath, client_address, url_address
from phpgw.checks.connection_attempt import Refused, connect
from phpgw.checks.finding import Finding, Subject
from phpgw.checks.fix_lines import command, setting
from phpgw.checks.permissions import closed_directories, describe_mode, may_connect
from phpgw.checks.situation import Situation

PHP_ADDRESS = Subject("php-address")
_USUAL_SOCKETS = ("run/php/*.sock", "run/php-fpm/*.sock")
_NAME_OF_PHP = re.compile("php(?!gw)|fpm")
_NOT_SENT = "No message reaches PHP."
_LOCAL_URL = 'php-url = "http://127.0.0.1/websocket.php"'
_LOCAL_PORT = 'php-fpm = "127.0.0.1:9000"'
_GATEWAY = "the gateway's configuration"


def php_address(situation: Situation) -> Address | None:
    """Return the address of PHP, or of the web server before it; ``None`` if it is not known."""
    settings = situation.settings
    if settings["php-url"] is not None:
        return url_address(settings["php-url"])
    return None if settings["php-fpm"] is None else client_address(settings["php-fpm"])


def check_php_address(situation: Situation) -> Iterator[Finding]:
    """Yield whether the gateway can connect to PHP."""
    address = php_address(situation)
    if situation.runs_php:
        yield PHP_ADDRESS.ok("The gateway runs its own PHP-FPM")
    elif address is None:
        yield PHP_ADDRESS.skipped(
            f"--php-fpm {situation.settings['php-fpm']}: the address is not known",
            why="An endpoint of a kind whose text names its address.",
        )
    elif not situation.is_here:
        yield PHP_ADDRESS.skipped(
            f"{address} was not looked at", why="To run on the gateway's machine."
        )
    else:
        yield _check(situation, address)


def _check(situation: Situation, address: Address) -> Finding:
    attempt = connect(address)
    if isinstance(attempt, socket.socket):
        attempt.close()
    if isinstance(address, UnixPath):
        denied = _denied(situation, Path(address.path), attempt)
        if denied is not None:
            return denied
    if isinstance(attempt, Refused):
        return _refused(address, attempt, is_url=situation.settings["php-url"] is not None)
    return PHP_ADDRESS.ok(f"PHP can be reached at {address}")


def _denied(situation: Situation, path: Path, attempt: "socket.socket | Refused") -> Finding | None:
    """Return that the gateway's user may not use a socket; ``None`` if it may."""
    who = situation.credentials
    try:
        closed = [*closed_directories(who, path)]
        if closed:
            return PHP_ADDRESS.wrong(
                f"The gateway's user may not pass {closed[0]}, on the way to PHP-FPM's socket",
                why=_NOT_SENT,
                fix=command("chmod", "o+x", closed[0]),
                where="a shell, as root; or a socket elsewhere, like in /run/php",
                seen=describe_mode(closed[0]),
            )
        if may_connect(who, path):
            return None
        return PHP_ADDRESS.wrong(
            "The gateway's user may not use PHP-FPM's socket (Permission denied)",
            why=_NOT_SENT,
            **_opened(path),
            seen=describe_mode(path),
        )
    except (OSError, KeyError):
        if not isinstance(attempt, Refused) or attempt.kind != "denied":
            return None
    return PHP_ADDRESS.wrong(
        f"PHP-FPM's socket may not be used: {path} (Permission denied)",
        why=_NOT_SENT,
        fix="SupplementaryGroups=www-data",
        where="[Service] in the gateway's unit: the group of PHP-FPM's socket",
    )


def _opened(path: Path) -> dict[str, str]:
    """Return the line that lets the gateway's user use a socket, and where it belongs."""
    if path.stat().st_mode >> 3 & 2 and path.group() != "root":
        return {
            "fix": f"SupplementaryGroups={path.group()}",
            "where": "[Service] in the gateway's unit (or, in a shell: usermod -aG)",
        }
    return {
        "fix": "listen.mode = 0666",
        "where": "PHP-FPM's pool (then restart PHP-FPM), or listen.group and 0660",
    }


def _refused(address: Address, refused: Refused, is_url: bool) -> Finding:
    name = "The web server" if is_url else "PHP-FPM"
    seen = f"{address}: {refused.text}"
    if refused.kind == "missing":
        return _missing(Path(str(address)), seen)
    if refused.kind == "full":
        return PHP_ADDRESS.wrong(
            "The queue of PHP-FPM is full: its workers do not keep up",
            why="Messages fail, and so do pages.",
            fix="pm.max_children = 20",
            where="PHP-FPM's pool: more than it has now",
            seen=seen,
        )
    if refused.kind == "unknown name":
        return PHP_ADDRESS.wrong(
            f"There is no host of this name: {address}",
            why=_NOT_SENT,
            fix=_LOCAL_URL if is_url else _LOCAL_PORT,
            where=f"{_GATEWAY}: a name that this machine can resolve",
            seen=seen,
        )
    if isinstance(address, UnixPath):
        return PHP_ADDRESS.wrong(
            f"Nobody listens on {address}",
            why=f"{_NOT_SENT} The socket is what a PHP-FPM has left that does not run.",
            fix="systemctl restart php-fpm",
            where="a shell; the unit's name may have a version, like php8.2-fpm",
            seen=seen,
        )
    return _not_listening(address, refused, name, seen, is_url)


def _missing(path: Path, seen: str) -> Finding:
    """Return that there is no such socket."""
    usual = _usual_address(path.parent)
    if usual is None:
        return PHP_ADDRESS.wrong(
            f"There is no socket {path}, and no other one of PHP-FPM was found",
            why=f"{_NOT_SENT} Does PHP-FPM run?",
            fix="systemctl start php-fpm",
            where="a shell; the unit's name may have a version, like php8.2-fpm",
            seen=seen,
        )
    return PHP_ADDRESS.wrong(
        f"There is no socket {path}",
        why=f"{_NOT_SENT} Another version of PHP has a socket of another name.",
        fix=setting("php-fpm", usual),
        where=_GATEWAY,
        seen=seen,
    )


def _not_listening(
    address: HostPort, refused: Refused, name: str, seen: str, is_url: bool
) -> Finding:
    if refused.kind == "refused" and address.host in ("localhost", "127.0.0.1", "::1"):
        line = setting("php-url", f"http://web:{address.port}/")
        if not is_url:
            line = setting("php-fpm", _usual_address() or f"php:{address.port}")
        return PHP_ADDRESS.wrong(
            f"Nobody listens on {address}",
            why=f"{_NOT_SENT} In a container, {address.host} is the container itself.",
            fix=line,
            where=f"{_GATEWAY}; or start {name}",
            seen=seen,
        )
    if refused.kind == "refused":
        return PHP_ADDRESS.wrong(
            f"Nobody listens on {address}",
            why=f"{_NOT_SENT} {name} may listen on its own 127.0.0.1 alone.",
            fix=f"listen = {address.port}",
            where=f"the configuration of {name} on that machine",
            seen=seen,
        )
    return PHP_ADDRESS.wrong(
        f"{address} does not answer ({refused.kind})",
        why=f"{_NOT_SENT} A firewall drops what is sent there, or the machine is off.",
        fix=f"ufw allow from GATEWAY to any port {address.port} proto tcp",
        where=f"the firewall of the machine of {name}",
        seen=seen,
    )


def _usual_address(directory: Path | None = None) -> str | None:
    """Return the socket of a PHP-FPM that is there; ``None`` if none was found.

    :param directory: where one was looked for in vain.
    """
    beside = [] if directory is None else [*_sockets_of_php(directory)]
    listening = [each for each in listen_addresses() if _is_socket(each)]
    usual = (str(path) for each in _USUAL_SOCKETS for path in sorted(Path("/").glob(each)))
    return next(iter([*beside, *listening, *usual]), None)


def _sockets_of_php(directory: Path) -> Iterator[str]:
    """Yield the sockets in a directory that PHP-FPM may have made, by their names.

    Others are there, too: those of Docker in /run, or the gateway's own. In a directory where
    anybody can make files, no name says anything.
    """
    try:
        is_open = bool(directory.stat().st_mode & stat.S_IWOTH)
    except OSError:
        return
    for path in [] if is_open else sorted(directory.glob("*.sock")):
        if _NAME_OF_PHP.search(path.name):
            yield str(path)


def _is_socket(path: str) -> bool:
    try:
        return Path(path).is_socket()
    except OSError as error:
        return error.errno == errno.EACCES
