"""Back-pressure: one connection is not read while the other is full."""

from typing import Any

from twisted.internet.interfaces import IPushProducer
from zope.interface import implementer


@implementer(IPushProducer)
class ReadPause:
    """Pauses the reading of one connection while another is full.

    Twisted stops a producer when its consumer's connection is lost, and a transport that is stopped
    closes. That the other connection closes is not for the transports to decide.

    :param source: the transport that is read.
    """

    def __init__(self, source: Any) -> None:
        self._source = source

    def pauseProducing(self) -> None:
        """Read no more for now."""
        self._source.pauseProducing()

    def resumeProducing(self) -> None:
        """Read on."""
        self._source.resumeProducing()

    def stopProducing(self) -> None:
        """Do nothing: see above."""
