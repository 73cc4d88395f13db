"""The warnings about ``--dev``."""

from ipaddress import ip_address

from phpgw.settings import Settings
from phpgw.settings.endpoint_text import parse_arguments, split_parts

_WARNING = (
    "This is the development mode (--dev), which is not for visitors: clients get PHP's errors, "
    "with paths and traces, and the log has parts of their messages"
)
_PUBLIC = (
    "--dev: {endpoint} may be open to other machines, and who reaches it gets PHP's errors; use "
    "--listen 127.0.0.1:8080, unless this is a container or a network that you trust"
)


def dev_warnings(settings: Settings) -> tuple[str, ...]:
    """Return what the log says at the start; nothing without ``--dev``."""
    if not settings.dev:
        return ()
    public = (each for each in settings.listen if not _is_local(each))
    return (_WARNING, *(_PUBLIC.format(endpoint=each) for each in public))


def _is_local(endpoint: str) -> bool:
    """Return whether only programs of this machine can connect to an endpoint, as far as known."""
    kind, *parts = split_parts(endpoint)
    if kind == "haproxy" and parts:
        kind, *parts = parts
    _, named = parse_arguments(parts)
    try:
        return kind == "unix" or ip_address(named.get("interface", "")).is_loopback
    except ValueError:
        return False
