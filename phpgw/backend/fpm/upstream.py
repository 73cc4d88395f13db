"""The upstream without ``--php-url`` and ``--php-fpm``: an own PHP-FPM."""

from pathlib import Path

from phpgw.backend.fastcgi.upstream import make_script_backend
from phpgw.backend.fpm.backend import OwnFpmBackend
from phpgw.backend.fpm.config import FpmConfig, FpmUnusable, InvalidPool, find_php_fpm
from phpgw.backend.fpm.manager import OwnFpm
from phpgw.backend.upstream import BackendContext, Upstream, observable_connections
from phpgw.observable import Observable
from phpgw.settings.option import InvalidOption
from phpgw.settings.parsers import existing_file


def make_own_fpm_upstream(context: BackendContext) -> Upstream:
    """Make an upstream with a PHP-FPM that the gateway starts.

    :raises InvalidOption: if there is no script, or no PHP-FPM that can run it.
    """
    settings, script = context.settings, context.script
    try:
        existing_file(script)
    except ValueError as error:
        raise InvalidOption("php-script", str(error), repr(script)) from None
    config = _make_config(context, _find_binary(context))
    fpm = OwnFpm(context.reactor, config)
    # More events than workers would only wait for each other.
    concurrency = min(settings.php_concurrency or config.workers, config.workers)
    fastcgi = make_script_backend(fpm, context, concurrency)
    return Upstream(
        backend=OwnFpmBackend(context.reactor, fpm, fastcgi, settings.php_timeout),
        description=f"{script} run by a {config.binary.name} of our own",
        concurrency=concurrency,
        service=fpm,
        observables=(
            observable_connections(fastcgi.count_connections),
            Observable(
                name="fpm_children",
                help="Processes of the gateway's own PHP-FPM that run scripts.",
                observe=lambda: {} if (count := fpm.count_children()) is None else {(): count},
            ),
            Observable(
                name="fpm_restarts",
                help="Times that the gateway's own PHP-FPM ended by itself, and was started again.",
                kind="counter",
                observe=lambda: {(): fpm.restarts},
            ),
        ),
    )


def _find_binary(context: BackendContext) -> Path:
    """Return the PHP-FPM to start.

    :raises InvalidOption: if none is named, and none is installed.
    """
    binary = context.settings.php_fpm_binary or find_php_fpm()
    if binary is None:
        raise InvalidOption(
            "php-script",
            "a php-fpm to run it, and none was found: apt-get install php-fpm "
            "(or name one with --php-fpm-binary, or a running one with --php-fpm)",
            repr(context.script),
        )
    return binary


def _make_config(context: BackendContext, binary: Path) -> FpmConfig:
    """Return the configuration of PHP-FPM, which PHP-FPM has checked.

    :raises InvalidOption: if PHP-FPM does not start with it.
    """
    settings = context.settings
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
