"""The pool for ``https://`` and ``http://``."""

from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from phpgw.log_limit import line_limit
from phpgw.pools.front import Front
from phpgw.pools.https.connector import ApiConnector
from phpgw.pools.https.exchange import ApiConnections
from phpgw.pools.https.fields import AddedFields
from phpgw.pools.https.header_file import read_header_file
from phpgw.pools.https.php_side import PhpHttpConnection
from phpgw.pools.https.site import ApiSite
from phpgw.pools.pool import Pool, PoolLimits
from phpgw.pools.server_endpoint import make_endpoint
from phpgw.pools.service import LendingPool
from phpgw.settings.option import InvalidOption
from phpgw.settings.pool_config import PoolConfig
from phpgw.settings.pool_text import OPTION

_USUAL_PORTS = {"http": 80, "https": 443}


class ApiPool(LendingPool):
    """A pool of connections to an HTTP API.

    :raises InvalidOption: if the file with the added headers cannot be used.
    """

    log = Logger(observer=line_limit)

    def __init__(self, reactor: Any, config: PoolConfig) -> None:
        connector = ApiConnector(
            reactor,
            make_endpoint(reactor, config),
            lambda connection: pool.discard(connection, "lost"),
            uses_tls=config.uses_tls,
        )
        pool: ApiConnections = Pool(reactor, config.name, PoolLimits.from_config(config), connector)
        self._config = config
        self._site = ApiSite(
            reactor,
            name=config.name,
            host=host_field(config),
            base=config.server.path.rstrip("/").encode(),
            pool=pool,
            timeout=config.timeout,
            added=_read_fields(config),
        )
        super().__init__(pool, Front(reactor, lambda: PhpHttpConnection(self._site)))

    def reload(self) -> None:
        """See :class:`PoolService`."""
        try:
            self._site.set_added(_read_fields(self._config))
        except InvalidOption as error:
            self.log.error(
                "Pool {name}: the headers stay as they are: {error}",
                name=self._config.name,
                error=str(error),
            )
        super().reload()

    def stop_within(self, seconds: float) -> Deferred[None]:
        """See :class:`PoolService`."""
        self._site.stop()
        stopped: Deferred[None] = super().stop_within(seconds)
        return stopped.addCallback(lambda _: self._site.close())


def host_field(config: PoolConfig) -> bytes:
    """Return the Host of requests to a pool's server: RFC 9110, section 7.2."""
    place = config.server.place
    assert place is not None  # There is no http+unix://.
    text = str(place)
    return text.removesuffix(f":{_USUAL_PORTS[config.server.scheme]}").encode()


def _read_fields(config: PoolConfig) -> AddedFields:
    if config.header_file is None:
        return AddedFields()
    return read_header_file(OPTION, config.header_file)
