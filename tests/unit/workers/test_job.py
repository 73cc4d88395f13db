"""Tests for :mod:`phpgw.workers.job`."""

import json

import attrs
from twisted.trial.unittest import SynchronousTestCase

from phpgw.workers.job import WorkerJob

JOB = WorkerJob(
    number=1,
    count=2,
    texts={
        "php-url": [("http://localhost/ws.php", "on the command line")],
        "max-waiting": [("3", "x")],
    },
    endpoints=["tcp:8080"],
    log_path=None,
    log_descriptor=2,
)


class JobTests(SynchronousTestCase):
    def test_json(self) -> None:
        """A job is the same behind a pipe; what a newer parent adds is ignored."""
        message = json.loads(json.dumps(attrs.asdict(JOB)))
        job = WorkerJob.from_json({**message, "type": "job", "more": 1})
        self.assertEqual(message, attrs.asdict(job))
        self.assertEqual(1, job.settings().max_waiting)
        self.assertEqual("http://localhost/ws.php", job.settings().php_url)
