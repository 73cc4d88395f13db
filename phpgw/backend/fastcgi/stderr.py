"""Errors that PHP reports on standard error, after which its reply is worthless.

PHP continues after these errors, and the script does not notice them.
"""

import re

_LEVEL = b"PHP Warning:  "
# How many bytes before its text an error may begin: the name of a function is in between.
_MAX_DISTANCE = 200
_SENT = re.compile(rb"headers (?:already|have already been) sent")
_PLACE = re.compile(rb"(?:output started at|sent from) ([^()\r\n]{1,1024})\)")
_TOO_LONG = re.compile(
    rb"POST Content-Length of ([0-9]{1,20}) bytes exceeds the limit of ([0-9]{1,20}) bytes"
)
SCRIPT_NOT_FOUND = (
    "PHP-FPM does not find --php-script: the path is the one that PHP-FPM sees, and its user has "
    "to be able to read the file and to enter its directories"
)
SCRIPT_DENIED = "PHP-FPM's pool does not allow the name of --php-script (security.limit_extensions)"
# Messages of PHP-FPM itself, not of a script.
_NOT_RUN = re.compile(
    rb"(?:\A|\n|; )(?:(Primary script unknown|Unable to open primary script: )"
    rb"|Access to the script '[^'\n]{1,1024}' has been denied)"
)


def find_reported_error(errors: bytes) -> str | None:
    """Return why the reply is worthless, for the log; ``None`` if no error says so.

    :param errors: what PHP has written to standard error.
    """
    not_run = _NOT_RUN.search(errors)
    if not_run is not None:
        return SCRIPT_NOT_FOUND if not_run[1] else SCRIPT_DENIED
    if _LEVEL not in errors:
        return None
    too_long = _TOO_LONG.search(errors)
    if too_long is not None and _is_warning(errors, too_long.start()):
        size, limit = (int(number) for number in too_long.groups())
        return (
            f"PHP did not read the event, whose {size} bytes are more than post_max_size "
            f"({limit} bytes): raise it in PHP's configuration, or lower --max-message-size"
        )
    for sent in _SENT.finditer(errors):
        if _is_warning(errors, sent.start()):
            return (
                "PHP could not send its status, headers or session, since "
                f"{_find_printer(errors)} had printed something before (a blank line or a byte "
                "order mark in front of <?php, an echo)"
            )
    return None


def _is_warning(errors: bytes, position: int) -> bool:
    """Return whether the text at a position is part of a PHP warning."""
    return errors.rfind(_LEVEL, max(0, position - _MAX_DISTANCE), position) >= 0


def _find_printer(errors: bytes) -> str:
    """Return the file and line that printed something too early, as PHP reports it."""
    place = _PLACE.search(errors)
    if place is None:
        return "the script"
    return repr(place[1].decode("utf-8", "backslashreplace"))[1:-1]
