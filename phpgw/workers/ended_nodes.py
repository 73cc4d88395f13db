"""The nodes of worker processes that have ended, in the parent, until they are declared dead."""

from collections.abc import Callable

from phpgw.workers.worker_process import WorkerProcess


class EndedNodes:
    """Tells the workers which nodes have ended with their processes.

    They know it at once in this way, and do not wait for the lease of the node. Whoever starts
    later is told, too, unless some worker has declared the node dead by then.

    :param tell_all: sends all processes a message.
    """

    def __init__(self, tell_all: Callable[..., None]) -> None:
        self._tell_all = tell_all
        self._nodes: dict[WorkerProcess, str] = {}
        self._ended: dict[str, None] = {}

    def named(self, process: WorkerProcess, node_id: str) -> None:
        """Note which node a process is."""
        self._nodes[process] = node_id

    def started(self, process: WorkerProcess) -> None:
        """Tell a new process what the others may not have done."""
        for node_id in self._ended:
            process.tell("node_ended", id=node_id)

    def ended(self, process: WorkerProcess) -> None:
        """Tell all that a process has ended."""
        node_id = self._nodes.pop(process, None)
        if node_id is not None:
            self._ended[node_id] = None
            self._tell_all("node_ended", id=node_id)

    def declared_dead(self, node_id: str) -> None:
        """Note that nobody has to be told of a node any more."""
        self._ended.pop(node_id, None)
