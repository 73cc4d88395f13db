"""twistd, and a word on how many objects it has, for whoever wants to see whether they go away.

A script of its own, run as ``python census.py FILE [ARGUMENT ...]`` with twistd's arguments: on
the signal SIGRTMIN it counts its objects by their types and writes that to the file, in JSON.
"""

import gc
import json
import signal
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from twisted.scripts.twistd import run


def main() -> None:
    """Become twistd."""
    path = Path(sys.argv.pop(1))
    fresh = path.with_suffix(".new")

    def count(number: int, frame: Any) -> None:
        # Twice: what a finalizer lets go of is garbage only then.
        gc.collect()
        gc.collect()
        types = Counter(type(each) for each in gc.get_objects())
        names: Counter[str] = Counter()
        for kind, number_of in types.items():
            names[f"{kind.__module__}.{kind.__qualname__}"] += number_of
        fresh.write_text(json.dumps(names))
        fresh.rename(path)

    signal.signal(signal.SIGRTMIN, count)
    sys.argv[0] = "twistd"
    run()


if __name__ == "__main__":
    main()
