"""A temporary directory with a path that is short enough for UNIX sockets in it (unix(7))."""

from pathlib import Path
from tempfile import TemporaryDirectory

from twisted.trial.unittest import SynchronousTestCase


def short_directory(test: SynchronousTestCase) -> Path:
    """Return a new directory, which others may pass, until the end of the test."""
    directory = TemporaryDirectory(prefix="phpgw-")
    test.addCleanup(directory.cleanup)
    path = Path(directory.name)
    path.chmod(0o755)
    return path
