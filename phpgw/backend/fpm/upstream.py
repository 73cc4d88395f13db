"""The upstream without ``--php-url`` and ``--php-fpm``: an own PHP-FPM."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from phpgw.backend.fastcgi.upstream import make_script_backend
from phpgw.backend.fpm.backend import OwnFpmBackend
from phpgw.backend.fpm.config import FpmConfig, FpmUnusable, InvalidPool, find_php_fpm
from phpgw.backend.fpm.endpoint import FpmEndpoint
from phpgw.backend.fpm.manager import OwnFpm
from phpgw.backend.upstream import BackendContext, Upstream, observable_connections
from phpgw.settings import Settings
from phpgw.settings.option import InvalidOption
from phpgw.settings.parsers import existing_file


def make_own_fpm(settings: Settings, reactor: Any) -> OwnFpm:
    """Make a PHP-FPM that this process starts, for the script that the settings name.

    :raises InvalidOption: if there is no script, or no PHP-FPM that can run it.
    """
    script = settings.php_script
    assert script is not None  # a rule of Settings
    try:
        existing_file(script)
    except ValueError as error:
        raise InvalidOption("php-script", str(error), repr(script)) from None
    return OwnFpm(reactor, _make_config(settings, _find_binary(settings)))


def make_own_fpm_upstream(
    context: BackendContext, make_fpm: Callable[[Settings, Any], FpmEndpoint]
) -> Upstream:
    """Make an upstream with a PHP-FPM of the gateway's.

    :param make_fpm: makes the PHP-FPM, or what leads to it.
    :raises InvalidOption: if there is no script, or no PHP-FPM that can run it.
    """
    settings = context.settings
    fpm = make_fpm(settings, context.reactor)
    fastcgi = make_script_backend(fpm, context, context.concurrency)
    return Upstream(
        backend=OwnFpmBackend(context.reactor, fpm, fastcgi, settings.php_timeout),
        description=f"{context.script} run by a {_find_binary(settings).name} of our own",
        concurrency=context.concurrency,
        service=fpm,
        observables=(observable_connections(fastcgi.count_connections), *fpm.observables()),
    )


def _find_binary(settings: Settings) -> Path:
    """Return the PHP-FPM to start.

    :raises InvalidOption: if none is named, and none is installed.
    """
    binary = settings.php_fpm_binary or find_php_fpm()
    if binary is None:
        raise InvalidOption(
            "php-script",
            "a php-fpm to run it, and none was found: apt-get install php-fpm "
            "(or name one with --php-fpm-binary, or a running one with --php-fpm)",
            repr(settings.php_script),
        )
    return binary


def _make_config(settings: Settings, binary: Path) -> FpmConfig:
    """Return the configuration of PHP-FPM, which PHP-FPM has checked.

    :raises InvalidOption: if PHP-FPM does not start with it.
    """
    config = FpmConfig(
        binary=binary,
        workers=settings.php_workers,
        user=settings.php_user,
        script_seconds=settings.php_max_run,
        message_size=settings.max_message_size,
        pool_file=settings.php_fpm_conf,
        env=settings.php_env,
    )
    try:
        config.check()
    except InvalidPool as error:
        raise InvalidOption(
            "php-fpm-conf", "settings of a pool that PHP-FPM takes", str(error)
        ) from error
    except FpmUnusable as error:
        raise InvalidOption("php-fpm-binary", f"a PHP-FPM that works ({error})") from error
    return config
