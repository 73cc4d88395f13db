"""``python -m benchmarks.report [RESULTS]``: put results into ``README.rst``."""

import sys
from pathlib import Path

from benchmarks.results import CASES, DEFAULT_PATH, HERE, Results

_README = HERE / "README.rst"
_BEGIN = ".. results begin: python -m benchmarks.report writes what follows\n"
_END = ".. results end\n"


def write_into(text: str, results: Results) -> str:
    """The page with these results in place of those that it has."""
    head, begin, rest = text.partition(_BEGIN)
    _, end, tail = rest.partition(_END)
    if not (begin and end):
        raise ValueError(f"the page lacks its markers, {_BEGIN.strip()!r} and {_END.strip()!r}")
    return f"{head}{begin}\n{_section(results)}\n{end}{tail}"


def _section(results: Results) -> str:
    conditions = results.conditions
    machine = "\n".join(f"* {name}: {value}" for name, value in results.machine.items())
    parts = [
        f"Measured on {conditions['date']}, {conditions['rounds']} rounds of "
        f"{conditions['seconds']} s, {conditions['workers']} PHP-FPM workers, on\n",
        f"{machine}\n",
        *(f"{note}.\n" for note in results.notes),
    ]
    for name, case in CASES.items():
        if name in results.rows:
            parts.append(f"{case.title}\n{'~' * len(case.title)}\n")
            parts.append(results.tables(name))
    return "\n".join(parts)


def main() -> None:
    """Write these results, or the usual ones."""
    source = Path(sys.argv[1]) if len(sys.argv) > 1 else DEFAULT_PATH
    _README.write_text(write_into(_README.read_text(), Results.read(source)))
    print(_README)


if __name__ == "__main__":
    main()
