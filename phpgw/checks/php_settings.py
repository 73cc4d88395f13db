"""PHP's settings (php.ini) that matter for messages."""

import re
from collections.abc import Iterator, Mapping

from phpgw.checks.finding import Finding, Subject
from phpgw.checks.situation import Situation

POST_MAX_SIZE = Subject("post-max-size")
DISPLAY_ERRORS = Subject("display-errors")
OUTPUT_BUFFERING = Subject("output-buffering")
_SUBJECTS = (POST_MAX_SIZE, DISPLAY_ERRORS, OUTPUT_BUFFERING)
_POOL = "the pool of PHP-FPM (then reload it), or php.ini"
_SIZE = re.compile(r"(-?[0-9]{1,18})\s*([kmg]?)b?", re.IGNORECASE)
_UNITS = {"": 1, "k": 1024, "m": 1024**2, "g": 1024**3}
_OFF = ("", "0", "off", "no", "false", "none", "stderr")
# A form with a message in it: each byte may take three, and other fields need room.
_ENCODED, _OTHER_FIELDS = 3, 65536


def check_php_settings(situation: Situation, ini: Mapping[str, str] | None) -> Iterator[Finding]:
    """Yield what PHP's settings do to messages.

    :param ini: the settings by name, as ``ini_get()`` returns them; ``None`` if not known.
    """
    if ini is None:
        for subject in _SUBJECTS:
            yield subject.skipped(
                f"PHP's {subject.id.replace('-', '_')} is not known",
                why="A script that replies to the check event, like the PHP library (see "
                "docs/contract.rst), or rights to run PHP-FPM.",
            )
        return
    yield _check_post_size(situation.settings["max-message-size"], ini)
    yield _check_errors(situation.settings["hide-php-errors"], ini)
    yield _check_buffering(ini)


def _check_post_size(max_message: int, ini: Mapping[str, str]) -> Finding:
    text = ini.get("post_max_size", "")
    size = parse_size(text)
    needed = _ENCODED * max_message + _OTHER_FIELDS
    seen = f"post_max_size = {text}, --max-message-size {max_message}"
    if ini.get("enable_post_data_reading", "1").lower() in _OFF:
        return POST_MAX_SIZE.wrong(
            "PHP does not read what is posted: $_POST is always empty",
            why="Each message is lost.",
            fix="php_admin_flag[enable_post_data_reading] = on",
            where=_POOL,
            seen="enable_post_data_reading = 0",
        )
    if 0 < size < needed:
        return POST_MAX_SIZE.wrong(
            f"A message of {max_message} bytes (--max-message-size) can be larger than what PHP "
            f"takes ({text})",
            why="PHP then runs the script with an empty $_POST, and the message is lost.",
            fix=f"php_admin_value[post_max_size] = {-(-needed // 1024**2)}M",
            where=f"{_POOL}; encoded for $_POST, a message is up to three times as long",
            seen=seen,
        )
    return POST_MAX_SIZE.ok("PHP takes messages of any size that clients may send", seen=seen)


def _check_errors(are_hidden: bool, ini: Mapping[str, str]) -> Finding:
    text = ini.get("display_errors", "")
    if text.lower() in _OFF:
        return DISPLAY_ERRORS.ok("PHP does not print errors into replies")
    kept_back = "The gateway keeps such replies back: the client gets none."
    return DISPLAY_ERRORS.warn(
        "PHP prints its errors into replies",
        why=kept_back if are_hidden else "Browsers get paths and parts of the code.",
        fix="php_admin_flag[display_errors] = off",
        where=_POOL,
        seen=f"display_errors = {text}",
    )


def _check_buffering(ini: Mapping[str, str]) -> Finding:
    text = ini.get("output_buffering", "")
    if ini.get("zlib.output_compression", "").lower() not in _OFF:
        return OUTPUT_BUFFERING.note(
            "PHP compresses its output if it is asked to",
            why="The gateway never asks; a script that compresses anyway fails.",
            fix="php_admin_flag[zlib.output_compression] = off",
            where=_POOL,
            seen=f"zlib.output_compression = {ini['zlib.output_compression']}",
        )
    if text.lower() in _OFF:
        return OUTPUT_BUFFERING.note(
            "PHP sends each piece of output at once",
            why="Whatever a script prints by mistake before header() makes header() fail.",
            fix="php_admin_value[output_buffering] = 4096",
            where=_POOL,
            seen=f"output_buffering = {text or 0}",
        )
    return OUTPUT_BUFFERING.ok(
        f"PHP collects {text} bytes of output; a streamed reply has to end that buffer first"
    )


def parse_size(text: str) -> int:
    """Return the bytes in a size of PHP's, like 8M; 0 if it is none."""
    match = _SIZE.fullmatch(text.strip())
    return 0 if match is None else max(0, int(match[1])) * _UNITS[match[2].lower()]
