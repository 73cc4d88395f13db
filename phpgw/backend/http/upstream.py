"""The upstream for ``--php-url``: PHP behind a web server, asked over HTTP."""

from phpgw.backend.concurrency_limit import ConcurrencyLimit
from phpgw.backend.error_pages import OUTAGE_STATUSES
from phpgw.backend.http.backend import make_http_backend
from phpgw.backend.upstream import BackendContext, Upstream, observable_connections
from phpgw.settings.option import InvalidOption


def make_http_upstream(url: str, context: BackendContext) -> Upstream:
    """Make an upstream that POSTs events to a URL.

    :raises InvalidOption: if there can be no certificate for the host of an ``https:`` URL.
    """
    settings = context.settings
    try:
        backend = make_http_backend(
            context.reactor,
            url=url,
            timeout=settings.php_timeout,
            concurrency=context.concurrency,
            max_reply_size=settings.max_reply_size,
            signer=context.signer,
            metrics=context.metrics,
        )
    except UnicodeError as error:
        expected = f"for https: the name of a host that a certificate can be for ({error})"
        raise InvalidOption("php-url", expected, repr(url)) from error
    limited = ConcurrencyLimit(
        context.reactor,
        backend,
        limit=context.concurrency,
        timeout=settings.waiting_timeout,
        longest_run=settings.php_max_run,
        metrics=context.metrics,
    )

    def count_connections() -> dict[str, int]:
        return {"idle": backend.count_idle_connections(), "busy": limited.running}

    return Upstream(
        backend=limited,
        description=f"at {url}",
        concurrency=context.concurrency,
        concurrency_note=context.concurrency_note,
        has_web_server=True,
        outage_statuses=OUTAGE_STATUSES,
        observables=(observable_connections(count_connections),),
    )
