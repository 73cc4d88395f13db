"""The readiness of a gateway with several workers: it is ready while any of them is."""

from collections.abc import Sequence

from phpgw.web.health import ReadinessCheck


class SharedReadiness:
    """The readiness of a worker, and what is known of the others.

    :ivar is_other_ready: whether the parent knows of another worker that is ready.
    """

    def __init__(self) -> None:
        self.is_other_ready = False
        self._checks: Sequence[ReadinessCheck] = ()

    def share(self, checks: Sequence[ReadinessCheck]) -> Sequence[ReadinessCheck]:
        """Return the checks of all workers, given those of this process."""
        self._checks = checks
        return [self._shared(check) for check in checks]

    def is_own_ready(self) -> bool:
        """Return whether this process is ready."""
        return all(check() is None for check in self._checks)

    def _shared(self, check: ReadinessCheck) -> ReadinessCheck:
        return lambda: None if self.is_other_ready else check()
