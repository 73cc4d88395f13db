"""The bus between gateways: its password, the libraries for it, and then its engine."""

from collections.abc import Iterator
from pathlib import Path
from stat import S_IROTH

from phpgw.checks.finding import Finding, Subject
from phpgw.checks.fix_lines import command, setting
from phpgw.checks.permissions import describe_mode, may_read
from phpgw.checks.situation import Situation
from phpgw.settings.bus_url import parse_bus_url
from phpgw.settings.option import InvalidOption
from phpgw.settings.secret_file import read_secret

LIBRARIES = Subject("bus-libraries")
PASSWORD_FILE = Subject("bus-password-file")
_UNREAD = "Without the password, Redis refuses the gateway, and it knows its own clients alone."


def check_bus(situation: Situation) -> Iterator[Finding]:
    """Yield the findings about the bus, if there is one."""
    settings = situation.settings
    if settings["bus"] is None:
        return
    try:
        # It needs libraries that a gateway that is alone does not.
        from phpgw.checks.bus_engine import check_engine
    except ImportError as error:
        yield LIBRARIES.wrong(
            "The libraries for the bus are not installed",
            why="The gateway does not start with --bus.",
            fix="pip install 'phpgw[redis]'",
            where="a shell, in the gateway's environment",
            seen=str(error),
        )
        return
    path, password = settings["bus-password-file"], None
    if path is not None and situation.is_here:
        yield check_password_file(situation, Path(path))
        try:
            password = read_secret("bus-password-file", Path(path))
        except InvalidOption:
            return
    yield from check_engine(situation, parse_bus_url(settings["bus"]), password)


def check_password_file(situation: Situation, path: Path) -> Finding:
    """Return who may read the password of the bus."""
    try:
        mode, seen = path.stat().st_mode, describe_mode(path)
        is_readable = may_read(situation.credentials, path)
        read_secret("bus-password-file", path)
    except (OSError, KeyError, InvalidOption) as error:
        return PASSWORD_FILE.wrong(
            f"The password of the bus cannot be read ({path})",
            why=_UNREAD,
            fix=setting("bus-password-file", str(path)),
            where="the gateway's configuration: a file with the password in it",
            seen=str(error),
        )
    if mode & S_IROTH:
        return PASSWORD_FILE.warn(
            f"Every user of this machine can read the password of the bus ({path})",
            why="Who has it can send anything to your clients, and read their cookies.",
            fix=command("chmod", "o-r", path),
            where="a shell, as root",
            seen=seen,
        )
    if not is_readable:
        return PASSWORD_FILE.wrong(
            f"The gateway's user may not read the password of the bus ({path})",
            why=_UNREAD,
            fix=command("setfacl", "-m", f"u:{situation.credentials.uid}:r", path),
            where="a shell, as root; or LoadCredential= in the gateway's unit",
            seen=seen,
        )
    return PASSWORD_FILE.ok("The password of the bus is for the gateway alone", seen=seen)
