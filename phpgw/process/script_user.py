"""The user of the scripts, if the gateway runs as root and has its own PHP-FPM."""

import pwd

_USUAL = ("www-data", "nobody")


def find_script_user(name: str | None) -> pwd.struct_passwd:
    """Return the entry of this user.

    :param name: the name; ``None`` for a usual one.
    :raises LookupError: if there is none.
    """
    names = _USUAL if name is None else (name,)
    for each in names:
        try:
            return pwd.getpwnam(each)
        except KeyError:
            continue
    raise LookupError(f"there is no user {' or '.join(names)}")
