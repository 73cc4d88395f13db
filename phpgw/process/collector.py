"""Python's garbage collector, kept from looking at all clients at once.

It looks for objects that refer to each other and nothing else does. A full search goes through
everything there is, while nobody is served: 50 ms with 4,000 clients, 150 ms with 15,000. What has
survived one is mostly there to stay. So it is set aside then, and searches go through what is new:
3 ms, however many clients there are.

What has been set aside is freed as ever once nothing refers to it, and so is a client that leaves,
with all that it has occupied. Only what refers to itself in a circle would stay; there is a search
through everything once so much has been set aside that those could add up.
"""

import gc
from typing import Any

from twisted.application.service import Service
from twisted.internet.task import LoopingCall

# A search begins once so many objects are new; after ten there is one through the survivors of
# these, too, and after every other of those a full one: with 15,000 new objects.
_THRESHOLDS = (700, 10, 1)
_OLDEST = 2
# What little survives may just be under way, and in circles.
_WORTH_IT = 10_000
# A client is 60 objects: after 150,000 clients there may be a pause.
_MOST_SET_ASIDE = 10_000_000
_LOOK_SECONDS = 60.0


class Collector(Service):
    """Sets aside what full searches have found to be in use."""

    def __init__(self, reactor: Any) -> None:
        self._set_aside = 0
        self._thresholds = gc.get_threshold()
        self._looking = LoopingCall(self.look)
        self._looking.clock = reactor

    def startService(self) -> None:
        super().startService()
        self._thresholds = gc.get_threshold()
        gc.set_threshold(*_THRESHOLDS)
        gc.callbacks.append(self._collected)
        self._search()
        self._looking.start(_LOOK_SECONDS, now=False)

    def stopService(self) -> None:
        super().stopService()
        if self._looking.running:
            self._looking.stop()
            gc.callbacks.remove(self._collected)
            gc.set_threshold(*self._thresholds)
            gc.unfreeze()

    def look(self) -> None:
        """Search through everything, if that is due."""
        if self._set_aside >= _MOST_SET_ASIDE:
            gc.unfreeze()
            self._search()

    def _search(self) -> None:
        gc.collect()
        self._set_aside = 0
        gc.freeze()
        # Python waits with a full search for new objects in proportion to those of the last one.
        gc.collect()

    def _collected(self, phase: str, info: dict[str, int]) -> None:
        """See :data:`gc.callbacks`. It is called by whichever thread has needed an object."""
        if phase == "stop" and info["generation"] == _OLDEST:
            survivors = len(gc.get_objects(generation=_OLDEST))
            if survivors >= _WORTH_IT:
                self._set_aside += survivors
                gc.freeze()
