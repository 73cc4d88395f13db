"""The script, as the gateway reaches it: it was sent a check event, and may have replied.

What the script replies does not matter much: a script that does not know the event may refuse it.
What matters is that it was the script that replied, and nothing before it.
"""

import json
import re
from codecs import BOM_UTF8
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from glob import escape
from itertools import chain
from pathlib import Path
from typing import Any

from phpgw.backend.fastcgi.stderr import SCRIPT_DENIED, SCRIPT_NOT_FOUND
from phpgw.checks.finding import Finding, Subject
from phpgw.checks.fix_lines import command, setting
from phpgw.checks.permissions import closed_directories, describe_mode, may_read
from phpgw.checks.script_refusals import GATEWAY, NOT_SENT, PHP_SCRIPT, find_refusal
from phpgw.checks.situation import Credentials, Situation
from phpgw.relay.php_errors import find_php_error

PHP_OUTPUT = Subject("php-output")
_BOM = "\N{ZERO WIDTH NO-BREAK SPACE}"
_MAX_SEEN = 200
_ROOTS_HOME = Path("/root")
_USUAL_SCRIPT = "/srv/app/websocket.php"
_TEXTS_OF_FPM = {404: "File not found.", 403: "Access denied."}
_REASONS_OF_FPM = {SCRIPT_NOT_FOUND: 404, SCRIPT_DENIED: 403}
# What the gateway says of a script that prints before header() (phpgw.backend.fastcgi.stderr).
_PRINTED_EARLY = re.compile(r"since (?P<file>/.+?)(?::[0-9]+)? had printed something before")
_SLOW = 1.0


def check_script(situation: Situation, *, is_reachable: bool = True) -> Iterator[Finding]:
    """Yield what is known of the script from its reply to the check event.

    :param is_reachable: whether PHP's address is right, as far as it is known.
    """
    script = situation.script
    if script is not None and not is_reachable and "error" in script:
        for subject in (PHP_SCRIPT, PHP_OUTPUT):
            yield subject.skipped("PHP was not reached", why="php-address has to be ok.")
        return
    if script is None:
        for subject in (PHP_SCRIPT, PHP_OUTPUT):
            yield subject.skipped(
                "The script was not asked",
                why="A gateway that runs, and no --no-script.",
            )
        return
    yield _check_outcome(situation, script)
    if "status" in script:
        yield _check_output(script)
    elif match := _PRINTED_EARLY.search(script["error"]["text"]):
        yield _printed_early(match["file"], script["error"]["text"])
    else:
        yield PHP_OUTPUT.skipped("The script did not reply", why=f"{PHP_SCRIPT.id} has to be ok.")


def ini_in_reply(situation: Situation) -> dict[str, str] | None:
    """Return the PHP settings in the script's reply; ``None`` if it does not know the event."""
    script = situation.script
    return None if script is None or "status" not in script else _read_ini(_text(script))


def _read_ini(text: str) -> dict[str, str] | None:
    try:
        reply = json.loads(text[text.index("{") :])
        settings = reply["phpgw_check"]["ini"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    if not isinstance(settings, dict):
        return None
    return {name: value for name, value in settings.items() if isinstance(value, str)}


def _text(script: Mapping[str, Any]) -> str:
    body: bytes = script["body"].encode("latin-1", "replace")
    return body.decode(errors="replace")


def _check_outcome(situation: Situation, script: Mapping[str, Any]) -> Finding:
    if "error" in script:
        return _check_error(situation, script["error"])
    status, text = script["status"], _text(script)
    seen = f"status {status} after {script['seconds'] * 1000:.0f} ms: {text[:_MAX_SEEN]!r}"
    if _TEXTS_OF_FPM.get(status) == text.strip():
        return _not_run(situation, status, seen)
    if "<?php" in text[:_MAX_SEEN]:
        return PHP_SCRIPT.wrong(
            "The web server sends the source of the script, and does not run it",
            why=f"{NOT_SENT} Passwords in it can be read by anybody.",
            fix="location ~ \\.php$ { fastcgi_pass unix:/run/php/php-fpm.sock; }",
            where="the web server's configuration",
            seen=seen,
        )
    refusal = find_refusal(situation, script, text, seen)
    return _reached(situation, script, seen) if refusal is None else refusal


def _reached(situation: Situation, script: Mapping[str, Any], seen: str) -> Finding:
    seconds = script["seconds"]
    knows = ini_in_reply(situation) is not None
    if seconds > _SLOW:
        return PHP_SCRIPT.warn(
            f"The script took {seconds:.1f} s to reply to an event without a message",
            why="Each message takes as long, and occupies a worker meanwhile.",
            fix="opcache.enable = 1",
            where="php.ini; then look for what the script does before it reads the event",
            seen=seen,
        )
    what = "" if knows else "; it does not know the check event, which does no harm"
    return PHP_SCRIPT.ok(f"PHP runs the script, in {seconds * 1000:.0f} ms{what}", seen=seen)


def _check_error(situation: Situation, error: Mapping[str, str]) -> Finding:
    kind, text = error["kind"], error["text"]
    if text in _REASONS_OF_FPM:
        return _not_run(situation, _REASONS_OF_FPM[text], text)
    if kind == "PhpErrorReported":
        return PHP_SCRIPT.ok("PHP runs the script", seen=text)
    if kind == "BackendBusy":
        return PHP_SCRIPT.wrong(
            "PHP-FPM had no worker for the script",
            why="Messages and pages wait, and time out.",
            fix=f"pm.max_children = {4 * situation.concurrency}",
            where="PHP-FPM's pool (then reload PHP-FPM)",
            seen=text,
        )
    if kind == "BackendTimeout":
        return PHP_SCRIPT.wrong(
            "The script did not reply in time",
            why="Clients get no reply, and the worker is occupied until the script ends.",
            fix="session_write_close();",
            where="the script, as soon as it has read the session; or it waits for something else",
            seen=text,
        )
    return PHP_SCRIPT.wrong(
        "The gateway does not reach PHP",
        why=NOT_SENT,
        fix="systemctl restart php-fpm",
        where="a shell, if the findings above about PHP-FPM do not say more",
        seen=text,
    )


def _not_run(situation: Situation, status: int, seen: str) -> Finding:
    """Return why PHP-FPM does not run the script: 404 and 403 are its own."""
    path = Path(situation.settings["php-script"] or "/")
    if status == 403:
        return PHP_SCRIPT.wrong(
            f"PHP-FPM runs no files that end like {path.name}",
            why=NOT_SENT,
            fix=f"security.limit_extensions = .php {path.suffix}",
            where="the pool of PHP-FPM (then reload it); or rename the script",
            seen=seen,
        )
    if situation.settings["php-url"] is None and situation.is_here and path.exists():
        unreadable = _unreadable(path)
        if unreadable is not None:
            return unreadable
    return PHP_SCRIPT.wrong(
        "PHP-FPM does not find the script",
        why=f"{NOT_SENT} The path is the one that PHP-FPM sees, in its container or chroot.",
        fix=setting("php-script", str(_similar(path) or _USUAL_SCRIPT)),
        where=GATEWAY,
        seen=seen,
    )


def _unreadable(path: Path) -> Finding | None:
    """Return that others than the owner may not read a script; ``None`` if they may."""
    nobody = Credentials(2**31, frozenset())
    try:
        for directory in closed_directories(nobody, path):
            if directory == _ROOTS_HOME:
                return PHP_SCRIPT.wrong(
                    f"The script is in {directory}, where nobody but root finds it",
                    why=f"{NOT_SENT} PHP-FPM calls that: Primary script unknown.",
                    fix=setting("php-script", _USUAL_SCRIPT),
                    where=f"{GATEWAY}, after you have moved your code out of {directory}",
                    seen=describe_mode(directory),
                )
            return PHP_SCRIPT.wrong(
                f"PHP-FPM's user may not pass {directory}, on the way to the script",
                why=f"{NOT_SENT} PHP-FPM calls that: Primary script unknown.",
                fix=command("chmod", "o+x", directory),
                where="a shell, as root; or a script elsewhere, like in /srv",
                seen=describe_mode(directory),
            )
        if not may_read(nobody, path):
            return PHP_SCRIPT.wrong(
                "PHP-FPM's user may not read the script",
                why=NOT_SENT,
                fix=command("chmod", "o+r", path),
                where="a shell, as root",
                seen=describe_mode(path),
            )
    except (OSError, KeyError):
        pass
    return None


def _similar(path: Path) -> Path | None:
    """Return a script that is there, in place of one that is not; ``None`` if there is none.

    It has the same name, or a similar one: what has another one may be anything.
    """
    for directory in path.parents:
        if directory.is_dir() and directory != Path("/"):
            # Not deeper: there may be very many files.
            patterns = (escape(path.name), f"*/{escape(path.name)}")
            same = (each for pattern in patterns for each in sorted(directory.glob(pattern)))
            names = sorted(each.name for each in directory.glob("*.php"))
            similar = (directory / name for name in get_close_matches(path.name, names, 1))
            return next(chain(same, similar), None)
    return None


def _check_output(script: Mapping[str, Any]) -> Finding:
    text = _text(script)
    seen = repr(text[:_MAX_SEEN])
    if text.startswith(_BOM):
        return _has_bom(script["path"] or "websocket.php", seen)
    error = find_php_error(script["body"].encode("latin-1", "replace"))
    if error is not None:
        return PHP_OUTPUT.wrong(
            f"PHP reports an error in the script ({error.kind})",
            why="The gateway keeps such replies back.",
            fix=error.line,
            where="the script: the file and the line are in the message",
            seen=seen,
        )
    stripped = text.lstrip()
    if stripped != text and stripped:
        return _has_white_space("each file", seen)
    if stripped[:9].lower() == "<!doctype":
        return PHP_OUTPUT.warn(
            "The script replies with a page",
            why="Browsers would get a page as the reply to their message: is this the script for "
            "messages?",
            fix=setting("php-script", _USUAL_SCRIPT),
            where=GATEWAY,
            seen=seen,
        )
    return PHP_OUTPUT.ok("The script prints nothing before its reply")


def _printed_early(file: str, text: str) -> Finding:
    """Return why something was printed before header()."""
    return _has_bom(file, text) if _begins_with_bom(Path(file)) else _has_white_space(file, text)


def _begins_with_bom(path: Path) -> bool:
    """Return whether a file begins with a BOM. PHP names it: it may be a pipe, and have no end."""
    try:
        if not path.is_file():
            return False
        with path.open("rb") as opened:
            return opened.read(len(BOM_UTF8)) == BOM_UTF8
    except (OSError, ValueError):
        return False


def _has_bom(file: str, seen: str) -> Finding:
    return PHP_OUTPUT.wrong(
        "The script's output begins with a byte order mark (BOM)",
        why="It is part of each message, and header() fails after it: no commands, no cookies.",
        fix=command("sed", "-i", r"1s/^\xEF\xBB\xBF//", file),
        where="a shell; or save the script, and each file that it includes, without BOM",
        seen=seen,
    )


def _has_white_space(file: str, seen: str) -> Finding:
    return PHP_OUTPUT.wrong(
        "The script prints something before its reply, such as white space",
        why="There is a blank line before <?php, or behind ?>, in a file, or an early echo. "
        "header() fails after it: no commands, no cookies.",
        fix="<?php",
        where=f"the very beginning of {file}; and no ?> at the end",
        seen=seen,
    )
