"""Knowledge that one worker gains, and all need. The parent passes it on."""

from collections.abc import Callable, Mapping
from typing import Any

from phpgw.web.proxy_detection import ProxyDetector
from phpgw.web.public_probes import PublicProbe, PublicProbes


class SharedKnowledge:
    """The notes that the workers send each other.

    :param tell: sends the parent a message. It passes notes on to the other workers. Those that
        last are also for workers that start later.
    """

    def __init__(self, tell: Callable[..., None]) -> None:
        self._tell = tell
        self._detector: ProxyDetector | None = None
        self._probes: PublicProbes | None = None

    def share_proxied_ports(self, detector: ProxyDetector) -> None:
        """Have all workers know of a proxy that one has found."""
        self._detector = detector
        detector.observers.append(self._tell_proxied)

    def share_probes(self, probes: PublicProbes) -> None:
        """Have all workers know of a probe: its handshake may come to any of them."""
        self._probes = probes
        probes.observers.append(self._tell_probe)

    def hear(self, note: Mapping[str, Any]) -> None:
        """Take a note of another worker."""
        match note.get("about"):
            case "proxied" if self._detector is not None:
                self._detector.mark(note["port"])
            case "probe" if self._probes is not None:
                if note["report"] is None:
                    self._probes.adopt(note["token"], note["idle"])
                else:
                    self._probes.adopt_report(note["token"], note["report"])

    def _tell_proxied(self, port: int | str) -> None:
        self._tell("note", lasts=True, note={"about": "proxied", "port": port})

    def _tell_probe(self, probe: PublicProbe) -> None:
        note = {
            "about": "probe",
            "token": probe.token,
            "idle": probe.idle,
            "report": probe.report,
        }
        self._tell("note", lasts=False, note=note)
