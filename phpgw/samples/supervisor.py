"""Supervisor: a program."""

import re
import shlex

from phpgw.samples.service import GatewayService, Secret, checked_user
from phpgw.samples.text import checked, comment, example, joined

_FILE = "/etc/supervisor/conf.d/phpgw.conf"
_LOG = "/var/log/supervisor/phpgw.log"
# A comment begins here, in whatever quotes.
_COMMENT = re.compile(r"(?<=\s)(?=[;#])")


def make_program(service: GatewayService, user: str) -> str:
    """Return a program for Supervisor.

    :param user: the user who runs it.
    :raises CannotWrite: if Supervisor cannot be told so.
    """
    words = [service.program, *service.arguments, *_secrets(service.secrets)]
    return joined(
        [
            *comment('The gateway under Supervisor, as "phpgw supervisor" prints it.'),
            "#",
            *comment(f"Save it as {_FILE}, and start it:"),
            *example(["supervisorctl update"]),
            *(line for note in service.notes for line in ("#", *comment(note))),
            "#",
            *comment(
                "A program gets as many file descriptors as Supervisor has, and needs one for each "
                "client. In the [supervisord] section of /etc/supervisor/supervisord.conf:"
            ),
            *example([f"minfds={service.descriptors}"]),
            "",
            "[program:phpgw]",
            f"command={' '.join(map(_word, words))}",
            *comment(
                "Who may open PHP-FPM's socket (listen.group in its pool), and read what the "
                "configuration names."
            ),
            f"user={checked_user(user)}",
            *_sockets(service),
            *comment("2: a mistake in the configuration, which does not get better by itself."),
            "autorestart=unexpected",
            "exitcodes=0,2",
            *comment("SIGTERM drains, which takes drain-timeout at most."),
            "stopsignal=TERM",
            f"stopwaitsecs={service.stop_seconds}",
            *comment("With the gateway, its own PHP-FPM has to go."),
            "killasgroup=true",
            "redirect_stderr=true",
            f"stdout_logfile={_LOG}",
        ]
    )


def _secrets(secrets: tuple[Secret, ...]) -> list[str]:
    return [word for secret in secrets for word in (f"--{secret.option}", secret.path)]


def _sockets(service: GatewayService) -> list[str]:
    if not service.unix_servers:
        return []
    paths = ", ".join(checked(server.path) for server in service.unix_servers)
    return comment(f"This user must be able to make {paths}.")


def _word(text: str) -> str:
    """Return a word of a command line, which Supervisor splits like a shell."""
    quoted = shlex.quote(checked(text)).replace("%", "%%")
    # It takes the rest of a line for a comment even within quotes. Closed and opened again between
    # the blank and the semicolon, they mean the same.
    return _COMMENT.sub("''", quoted)
