"""The real PHP on a command line, with the library of ``php/`` loaded."""

import os
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from subprocess import run as run_and_wait

from twisted.internet.defer import Deferred

from tests.support.real.command import Ended, run
from tests.support.real.gateway import ROOT
from tests.support.real.process import MissingProgram, find

LIBRARY = ROOT / "php" / "phpgw.php"


class PhpError(Exception):
    """A script has not run to its end, or not without complaint."""


def php(source: str, *arguments: str, env: Mapping[str, str] | None = None) -> Deferred[str]:
    """Run PHP code, without an opening tag, in the library's namespace.

    :param arguments: ``$argv``, from 1 on.
    :param env: more environment variables.
    :returns: what it prints.
    :raises PhpError: with its messages, be it no more than a notice.
    """
    opening = f"declare(strict_types=1); namespace Phpgw; require '{LIBRARY}';\n"
    settings = ["-d", "display_errors=stderr", "-d", "error_reporting=-1", "-d", "html_errors=0"]
    command = [php_with("curl", "php-curl"), *settings, "-r", opening + source, "--", *arguments]

    def check(ended: Ended) -> str:
        if ended.status or ended.stderr:
            raise PhpError(f"status {ended.status}: {ended.stderr}{ended.stdout}")
        return ended.stdout

    return run(command, env={**os.environ, **(env or {})}).addCallback(check)


@cache
def php_with(extension: str, package: str) -> str:
    """The path of a PHP that has this extension.

    :raises MissingProgram: naming the Debian package that is missing.
    """
    program = find(["php"], "php-cli")
    modules = run_and_wait([program, "-m"], capture_output=True, text=True, check=True).stdout
    if extension not in modules.split():
        raise MissingProgram(f"PHP's {extension} not found: apt-get install {package}")
    return program


def debian_library(name: str, package: str) -> str:
    """The path of a PHP library's autoloader.

    :param name: such as ``Nyholm/Psr7``.
    :raises MissingProgram: naming the Debian package, if it is not there.
    """
    path = Path("/usr/share/php", name, "autoload.php")
    if not path.exists():
        raise MissingProgram(f"{path} not found: apt-get install {package}")
    return str(path)
