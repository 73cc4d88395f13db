"""A search for clients, groups and users by a part of a name."""

from phpgw.hub.client import Client


class NameSearch:
    """A search for a part of a name, in upper or lower case.

    :param text: the part; empty for all names.
    """

    def __init__(self, text: str) -> None:
        self._text = text.lower()
        # Many clients have the same groups.
        self._groups: dict[str, bool] = {}

    def matches(self, name: str) -> bool:
        """Return whether a name has this part."""
        return self._text in name.lower()

    def matches_client(self, client: Client) -> bool:
        """Return whether the id, the user, a group or the address of a client has this part."""
        identity = client.identity
        return (
            self.matches(identity.client_id)
            or (identity.user is not None and self.matches(identity.user))
            or self.matches(identity.handshake.peer_host)
            or any(map(self._matches_group, client.groups))
        )

    def _matches_group(self, group: str) -> bool:
        found = self._groups.get(group)
        if found is None:
            found = self._groups[group] = self.matches(group)
        return found
