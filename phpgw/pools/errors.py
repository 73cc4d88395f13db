"""The errors of pools: why PHP gets no connection."""


class PoolError(Exception):
    """There is no connection for PHP; the text says why, and has no secret in it."""


class PoolFull(PoolError):
    """All connections were in use for as long as PHP may wait."""


class ServerUnavailable(PoolError):
    """No connection could be opened."""


class PoolStopping(PoolError):
    """The gateway stops."""
