"""Lets a test set the time of day of one Python process: PYTHONPATH names this directory.

``SECONDS_AHEAD`` names a file with how far ahead it is. A process cannot set the real clock without
setting it for all.
"""

import os
import time
from pathlib import Path

_FILE = Path(os.environ["SECONDS_AHEAD"])
_true_time = time.time


def _time() -> float:
    return _true_time() + float(_FILE.read_text())


time.time = _time
