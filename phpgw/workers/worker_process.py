"""One process of a worker, as its parent sees it: from its start to its end."""

from collections.abc import Mapping

import attrs
from twisted.logger import Logger

from phpgw.log_limit import line_limit
from phpgw.process.message_process import MessageProcess, program_command
from phpgw.workers.job import WorkerJob


class WorkerProcess(MessageProcess):
    """A process of a worker."""

    log = Logger(observer=line_limit)

    def start(self, job: WorkerJob, sockets: Mapping[str, int]) -> None:
        """Start the process.

        :param sockets: the descriptors of its listening sockets, by the texts of their endpoints.
        :raises OSError: if there is no process or descriptor left.
        """
        command = program_command("workers.main", str(job.number + 1))
        self.spawn(command, attrs.asdict(job), sockets)
