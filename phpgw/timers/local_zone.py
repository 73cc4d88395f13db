"""The local time zone of the machine."""

from datetime import UTC, datetime, timedelta, tzinfo


class LocalZone(tzinfo):
    """The machine's time zone, from ``TZ`` or ``/etc/localtime``, as the C library applies it.

    Python uses it for naive datetimes, with all changes of the offset (PEP 495).
    """

    def utcoffset(self, moment: datetime | None) -> timedelta | None:
        """Return how far local time is ahead of UTC at this local time."""
        if moment is None:
            return None
        local = moment.replace(tzinfo=None)
        return local - datetime.fromtimestamp(local.timestamp(), UTC).replace(tzinfo=None)

    def dst(self, moment: datetime | None) -> timedelta | None:
        """Return ``None``, since only the whole offset is used."""
        return None

    def tzname(self, moment: datetime | None) -> str | None:
        """Return ``None``, since the name is not used."""
        return None

    def fromutc(self, moment: datetime) -> datetime:
        """Return the local time for a time in UTC."""
        stamp = moment.replace(tzinfo=UTC).timestamp()
        return datetime.fromtimestamp(stamp).replace(tzinfo=self)


LOCAL_ZONE = LocalZone()
