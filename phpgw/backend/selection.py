"""Selects the upstream that the settings name."""

import time
from collections.abc import Callable
from typing import Any

from phpgw.backend.fastcgi.upstream import make_fastcgi_upstream
from phpgw.backend.fpm.endpoint import FpmEndpoint
from phpgw.backend.fpm.upstream import make_own_fpm, make_own_fpm_upstream
from phpgw.backend.http.upstream import make_http_upstream
from phpgw.backend.signature import Signer
from phpgw.backend.upstream import BackendContext, Upstream
from phpgw.metrics import Metrics
from phpgw.settings import Settings
from phpgw.settings.secret_file import read_secret


def make_upstream(
    settings: Settings,
    reactor: Any,
    metrics: Metrics,
    make_fpm: Callable[[Settings, Any], FpmEndpoint] = make_own_fpm,
) -> Upstream:
    """Make the upstream that the settings name.

    :param make_fpm: makes the gateway's own PHP-FPM, if it is to have one.
    :raises InvalidOption: if it cannot be used.
    """
    context = BackendContext(
        settings=settings, reactor=reactor, metrics=metrics, signer=_make_signer(settings)
    )
    if settings.php_url is not None:
        return make_http_upstream(settings.php_url, context)
    if settings.php_fpm is not None:
        return make_fastcgi_upstream(settings.php_fpm, context)
    return make_own_fpm_upstream(context, make_fpm)


def _make_signer(settings: Settings) -> Signer | None:
    path = settings.secret_file
    return None if path is None else Signer(read_secret("secret-file", path), time.time)
