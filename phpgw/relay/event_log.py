"""The log line about each event that has ended, at the level ``debug``."""

from twisted.logger import Logger

from phpgw.log_limit import line_limit
from phpgw.relay.event_report import EventReport

_FORMAT = (
    "{type} event {event_id}{of_client}: {outcome}{with_status}, waited {wait_ms:.1f} ms{php_took}"
)


class EventLog:
    """An observer of events that writes a line for each."""

    log = Logger(observer=line_limit)

    def __call__(self, report: EventReport) -> None:
        """Write the line, unless there have been too many."""
        if line_limit.count_if_over(self.log.namespace, _FORMAT):
            return
        event, php_seconds = report.event, report.php_seconds
        identity, php_ms = event.identity, None if php_seconds is None else php_seconds * 1000
        self.log.debug(
            _FORMAT,
            event_id=report.event_id,
            client_id=identity.client_id or None,
            user=identity.user,
            type=event.type,
            outcome=report.outcome,
            status=report.status,
            wait_ms=report.waited * 1000,
            php_ms=php_ms,
            reason=report.problem or None,
            of_client=f" of client {identity.client_id}" if identity.client_id else "",
            with_status="" if report.status is None else f", status {report.status}",
            php_took="" if php_ms is None else f", PHP took {php_ms:.1f} ms",
        )
