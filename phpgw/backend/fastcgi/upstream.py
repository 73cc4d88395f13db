"""The upstream for ``--php-fpm``: a running PHP-FPM, asked over FastCGI."""

from pathlib import Path

from twisted.internet.interfaces import IStreamClientEndpoint

from phpgw.backend.fastcgi.backend import FastCgiBackend, make_fastcgi_backend
from phpgw.backend.fpm.installed import find_pool, is_too_long
from phpgw.backend.upstream import BackendContext, Upstream, observable_connections
from phpgw.settings.option import InvalidOption
from phpgw.transport.host_endpoint import client_for


def make_fastcgi_upstream(endpoint: str, context: BackendContext) -> Upstream:
    """Make an upstream that asks the PHP-FPM at a Twisted client endpoint.

    :raises InvalidOption: if nothing can be asked there, or the script is outside ``--php-root``.
    """
    if is_too_long(endpoint):
        raise InvalidOption("php-fpm", "a socket with a path of 107 bytes at most", repr(endpoint))
    try:
        client = client_for(context.reactor, endpoint)
    except Exception as error:
        # Each kind of endpoint raises exceptions of its own.
        expected = f"a Twisted client endpoint ({type(error).__name__}: {error})"
        raise InvalidOption("php-fpm", expected, repr(endpoint)) from error
    backend = make_script_backend(client, context, context.concurrency)
    return Upstream(
        backend=backend,
        description=f"{context.script} run by {endpoint}",
        concurrency=context.concurrency,
        concurrency_note=context.concurrency_note,
        hints=_find_hints(endpoint, context),
        observables=(observable_connections(backend.count_connections),),
    )


def make_script_backend(
    client: IStreamClientEndpoint, context: BackendContext, concurrency: int
) -> FastCgiBackend:
    """Make a backend that has the PHP-FPM at an endpoint run ``--php-script``.

    :raises InvalidOption: if the script is outside ``--php-root``.
    """
    settings = context.settings
    try:
        return make_fastcgi_backend(
            context.reactor,
            endpoint=client,
            script=context.script,
            document_root=settings.php_root,
            timeout=settings.php_timeout,
            queue_timeout=settings.waiting_timeout,
            concurrency=concurrency,
            max_reply_size=settings.max_reply_size,
            signer=context.signer,
            metrics=context.metrics,
        )
    except ValueError as error:
        raise InvalidOption(
            "php-root", "a directory with the script in it", repr(settings.php_root)
        ) from error


def _find_hints(endpoint: str, context: BackendContext) -> tuple[str, ...]:
    """Return what the operator should change in the pool, or about the script's path."""
    pool = find_pool(endpoint)
    hints = [] if pool is None else [*pool.hints(context.concurrency)]
    if endpoint.startswith("unix:") and _is_missing(context.script):
        hints.append(
            f"--php-script {context.script} is not there as the gateway sees the file system; its "
            "path is the one that PHP-FPM sees (which may run in a container, or with chroot=)"
        )
    return tuple(hints)


def _is_missing(script: str) -> bool:
    """Return whether a file certainly does not exist; the gateway may not be allowed to see it."""
    try:
        return not Path(script).exists()
    except PermissionError:
        return False
    except OSError:
        return True
