"""What is tested: a real gateway, with a PHP-FPM of its own, whose script echoes."""

import os
import shutil
from pathlib import Path

from tests.support.real.gateway import Gateway

_HERE = Path(__file__).parent
_OPTIONS = (
    *("--compression", "on"),
    # The suite sends a message in 65,536 fragments, and as fast as it can.
    *("--max-fragments", "0", "--max-message-rate", "0"),
    # The largest message of the suite has just this size.
    *("--max-message-size", "16M", "--max-reply-size", "17M"),
    # The suite compares all that it gets: a ping, on a machine so slow that it is time for one,
    # would be one frame too many.
    *("--ping-interval", "0"),
    # For a slow machine, too.
    *("--php-timeout", "60s"),
)


def make_gateway(directory: Path) -> Gateway:
    """The gateway, not yet started.

    :param directory: a new one for all its files, which everybody may enter: as root, PHP-FPM has
        another user for its workers.
    """
    settings = directory / "php.ini.d"
    settings.mkdir()
    shutil.copy(_HERE / "php.ini", settings / "conformance.ini")
    script = shutil.copy(_HERE / "echo.php", directory)
    # What comes before the colon stays, PHP's own place if that is nothing.
    places = f"{os.environ.get('PHP_INI_SCAN_DIR', '')}:{settings}"
    return Gateway(
        directory / "gateway",
        *("--php-script", str(script), *_OPTIONS),
        env={"PHP_INI_SCAN_DIR": places},
    )
