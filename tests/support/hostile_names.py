"""Names of clients, groups and users that try to do something to a terminal."""

HOSTILE_NAMES = (
    "\x1b[2J\x1b[31mred",
    "\x1b]0;title\x07",
    "\x9b31m",
    "tab\tand\nline\r",
    "\x7f\x08",
    "\u202egnp.exe",
    "\u2066isolated\u2069",
    "line\u2028separator",
    "two\u200bparts\ufeff\U000e0041",
    "half \ud800 pair",
    "[red]markup[/red]",
    "%s {0} $(id) `id`",
)
