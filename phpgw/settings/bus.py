"""Options of the bus, for several gateways."""

from pathlib import Path

import attrs

from phpgw.settings import parsers
from phpgw.settings.bus_url import BusUrl, parse_bus_url
from phpgw.settings.option import option

_BUS = "Several gateways"


@attrs.frozen(kw_only=True, slots=False)
class BusSettings:
    """The engine between the gateways of an application, and how to log in there."""

    bus: BusUrl | None = option(
        _BUS,
        "URL",
        parse_bus_url,
        None,
        "Share clients, groups and users with other gateways, through Redis (6.2 or later) or "
        "Valkey: redis://HOST:6379, rediss://HOST:6379 for TLS, unix:/run/redis/redis.sock, or "
        "redis+sentinel://HOST:26379,HOST:26379/MASTER. All gateways of an application name the "
        "same. A user of its access control stands before the host: redis://phpgw@HOST. Without "
        "this option, the gateway is alone.",
    )
    bus_prefix: str = option(
        _BUS,
        "NAME",
        parsers.bus_prefix,
        "phpgw",
        "The name of the application on the bus: all its channels and keys begin with it. Two "
        "applications with the same Redis must have different names, even in different databases.",
    )
    bus_password_file: Path | None = option(
        _BUS,
        "FILE",
        parsers.existing_file,
        None,
        "A file with the password for Redis, and for the Sentinels if they ask for one. It is read "
        "anew for each connection.",
    )
    bus_ca_file: Path | None = option(
        _BUS,
        "FILE",
        parsers.existing_file,
        None,
        "A file with the certificates, in PEM, that sign the certificate of Redis (rediss://). "
        "Without this option, the certificates of the system count.",
    )
    bus_cert_file: Path | None = option(
        _BUS,
        "FILE",
        parsers.existing_file,
        None,
        "A file with the gateway's own certificate and its private key, in PEM, for a Redis that "
        "asks for one (tls-auth-clients).",
    )
