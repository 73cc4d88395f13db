"""A log of cross-origin handshakes: those from pages of other sites.

PHP does not get the cookies of such a handshake, and neither PHP nor the browser shows why. Often
the other site belongs to the same administrator. So the log names each origin once, with a remedy.
"""

from twisted.logger import Logger

from phpgw.log_limit import line_limit
from phpgw.metrics import Metrics
from phpgw.web.host import is_ip_address, parse_host, refers_to_this_machine
from phpgw.web.origin import Origin, parse_origin

# Origins in the log, and characters of each: any peer can invent origins.
_MAX_ORIGINS = 100
_MAX_LENGTH = 100


class CrossOriginLog:
    """Counts cross-origin handshakes, and logs each origin once."""

    log = Logger(observer=line_limit)

    def __init__(self, metrics: Metrics | None = None) -> None:
        self._metrics = metrics or Metrics()
        self._known: set[str] = set()

    def record(self, header: bytes, requested_host: bytes, *, is_refused: bool) -> None:
        """Count a cross-origin handshake, and log its origin if it is new.

        :param header: the Origin header.
        :param requested_host: the Host header, or what a trusted proxy passes on.
        :param is_refused: whether the handshake is refused, since ``--allow-origin`` does not
            name its origin.
        """
        self._metrics.handshakes_cross_origin += 1
        origin = parse_origin(header)
        text = ascii(str(origin or header.decode("latin-1")))[1:-1][:_MAX_LENGTH]
        if text in self._known or len(self._known) >= _MAX_ORIGINS:
            return
        self._known.add(text)
        self.log.warn(
            "Pages of {origin} {what}, as they ask for the host {host}. {remedy}{end}",
            origin=text,
            host=ascii(requested_host.decode("latin-1"))[1:-1][:_MAX_LENGTH] or "(none)",
            what="may not connect" if is_refused else "connect without their visitors' cookies",
            remedy=_remedy(origin, parse_host(requested_host) or "", text),
            end=" (No further origin is named.)" if len(self._known) == _MAX_ORIGINS else "",
        )


def _remedy(origin: Origin | None, host: str, text: str) -> str:
    """Return what to do if the page belongs to the administrator."""
    if origin is None and text != "null":
        return "No browser writes such an Origin."
    if origin is None or not origin.is_web:
        return f"If that is an app of yours: --allow-origin {text}"
    if origin.host == host:
        return "The site is reached by https: serve its pages by https://, too."
    is_page_here, is_host_here = refers_to_this_machine(origin.host), refers_to_this_machine(host)
    if is_page_here and is_host_here:
        return f"Let the page connect to {origin.host}, by the very name that it has itself."
    if not is_page_here and (is_host_here or "." not in host or is_ip_address(host)):
        return (
            "If that is your site, the proxy before the gateway keeps its name back. In Nginx: "
            f"proxy_set_header Host $host; otherwise --allow-origin {text}"
        )
    return f"If that is a site of yours: --allow-origin {text}"
