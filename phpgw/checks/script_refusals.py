"""Refusals of an event that are not the script's: of a web server, a framework, a login."""

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urljoin, urlsplit

from phpgw.checks.finding import Finding, Subject
from phpgw.checks.fix_lines import setting
from phpgw.checks.situation import Situation
from phpgw.settings.parsers import http_url

PHP_SCRIPT = Subject("php-script")
NOT_SENT = "No message reaches your code."
GATEWAY = "the gateway's configuration"
_USUAL_URL = "http://localhost/websocket.php"
_MAX_LOCATION = 200
# Pages of a web server itself.
_SERVER_PAGE = re.compile(r"<center>(?:nginx|openresty)|<address>Apache|<title>404", re.IGNORECASE)
# Statuses of a login, which the check event does not have: what else it may be.
_NEEDS_LOGIN = {401: "auth_basic off;", 403: 'secret-file = "/etc/phpgw.secret"'}
# Statuses that come from a framework, before the script's own code: what to do about each.
_REFUSALS = {
    405: (
        "does not take POST",
        "Route::post('/websocket', WebSocketController::class);",
        "the framework's routes",
    ),
    413: (
        "takes no body of this size",
        "client_max_body_size 4m;",
        "the web server's location of the script",
    ),
    419: (
        "wants a CSRF token, as for forms of browsers",
        "$middleware->validateCsrfTokens(except: ['websocket']);",
        "bootstrap/app.php (Laravel)",
    ),
}


def find_refusal(
    situation: Situation, script: Mapping[str, Any], text: str, seen: str
) -> Finding | None:
    """Return what has refused the check event; ``None`` if the script was reached.

    :param script: the reply.
    :param text: its body.
    """
    status = script["status"]
    if _SERVER_PAGE.search(text):
        finding = _find_refusal_of_server(situation, status, seen)
        if finding is not None:
            return finding
    if status in _NEEDS_LOGIN:
        return PHP_SCRIPT.warn(
            f"The script refuses the check event, which is nobody's (status {status})",
            why="If it asks for a login, that is right: messages of visitors have their cookies. "
            "If not, no message reaches your code.",
            fix=_NEEDS_LOGIN[status],
            where="the web server's location of the script, or the gateway's configuration with "
            "the secret that the script verifies",
            seen=seen,
        )
    if status in _REFUSALS:
        what, fix, where = _REFUSALS[status]
        return PHP_SCRIPT.wrong(
            f"PHP, or what is before it, {what} (status {status})",
            why=NOT_SENT,
            fix=fix,
            where=where,
            seen=seen,
        )
    if 300 <= status < 400:
        return _redirected(situation, script, seen)
    if status < 500:
        return None
    return PHP_SCRIPT.wrong(
        f"The script fails (status {status})",
        why=f"{NOT_SENT} Its error is in PHP's log.",
        fix="php_admin_value[error_log] = /var/log/php-errors.log",
        where="the pool of PHP-FPM, with php_admin_flag[log_errors] = on, if there is no log",
        seen=seen,
    )


def _find_refusal_of_server(situation: Situation, status: int, seen: str) -> Finding | None:
    """Return why a web server has replied itself; ``None`` if that is not known."""
    url = situation.settings["php-url"] or ""
    # A file that is no script does not take POST, and a directory shows nothing.
    if status in (404, 405) or (status == 403 and urlsplit(url).path.endswith("/")):
        return PHP_SCRIPT.wrong(
            f"The web server runs no script at {url}",
            why=NOT_SENT,
            fix=setting("php-url", _USUAL_URL),
            where=f"{GATEWAY}: the URL at which the web server runs the script",
            seen=seen,
        )
    if status in _NEEDS_LOGIN:
        return PHP_SCRIPT.wrong(
            f"The web server refuses the event before the script runs (status {status})",
            why=NOT_SENT,
            fix="auth_basic off; allow 127.0.0.1;",
            where="the web server's location of the script",
            seen=seen,
        )
    return None


def _redirected(situation: Situation, script: Mapping[str, Any], seen: str) -> Finding:
    """Return where the script's address leads to: to itself, in another form, or to a login."""
    what = f"The script's address redirects (status {script['status']})"
    seen = f"{seen}; Location: {script['location'][:_MAX_LOCATION]}"
    here = situation.settings["php-url"]
    there = None if here is None else _resolved(here, script["location"])
    if here is not None and there is not None and _same_script(here, there):
        return PHP_SCRIPT.wrong(
            what,
            why=f"{NOT_SENT} The gateway does not follow redirects.",
            fix=setting("php-url", there),
            where=GATEWAY,
            seen=seen,
        )
    return PHP_SCRIPT.warn(
        what,
        why="If it leads those without a login there, that is right: messages of visitors have "
        "their cookies. If not, no message reaches your code.",
        fix="if (($_POST['type'] ?? '') === 'check') { http_response_code(400); exit; }",
        where="the beginning of the script, to see that it is reached",
        seen=seen,
    )


def _resolved(url: str, location: str) -> str | None:
    """Return the URL that a redirect leads to; ``None`` if it is none for the gateway."""
    try:
        return http_url(urljoin(url, location))
    except ValueError:
        return None


def _same_script(here: str, there: str) -> bool:
    """Return whether two URLs have the same path, but for a slash at the end."""
    return urlsplit(here).path.rstrip("/") == urlsplit(there).path.rstrip("/")
