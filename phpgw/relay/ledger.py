"""The ledger: the disconnects that PHP must be told of, even if this process dies before."""

from typing import Protocol

from phpgw.backend.event import new_event_id
from phpgw.hub.client import Client


class Ledger(Protocol):
    """Keeps what others need to tell PHP of disconnects, once this process cannot."""

    @property
    def is_in_doubt(self) -> bool:
        """Return whether others may have told PHP. Until that is known, PHP is not told."""

    def enter(self, client: Client) -> None:
        """Enter a client, unless it is there: PHP is asked to admit it, or it is admitted."""

    def is_owed(self, client: Client) -> bool:
        """Return whether this process has to tell PHP, since nobody else does."""

    def event_id(self, client: Client) -> str:
        """Return the id of the event with which PHP is told, whoever does so."""

    def settle(self, client: Client) -> None:
        """Remove a client: PHP was told, or need not be. It may have been removed before."""


class NoLedger:
    """The ledger of a gateway that is alone: nobody could tell PHP in its place."""

    is_in_doubt = False

    def enter(self, client: Client) -> None:
        """Do nothing."""

    def is_owed(self, client: Client) -> bool:
        """Return true."""
        return True

    def event_id(self, client: Client) -> str:
        """Return a new id."""
        return new_event_id()

    def settle(self, client: Client) -> None:
        """Do nothing."""
