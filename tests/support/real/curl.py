"""The real curl, as PHP developers and scripts call it."""

from twisted.internet.defer import Deferred

from tests.support.real.command import Ended, run
from tests.support.real.process import find


class CurlError(Exception):
    """curl did not get an answer.

    :ivar status: curl's exit status, explained in its manual.
    """

    def __init__(self, ended: Ended) -> None:
        super().__init__(f"curl ended with status {ended.status}: {ended.stderr.strip()}")
        self.status = ended.status


def curl(*arguments: str, timeout: float = 30.0) -> Deferred[str]:
    """Return curl's output: the body of the response, whatever its status, if not told otherwise.

    :raises CurlError: with what curl says on its standard error.
    """
    # Neither the developer's ~/.curlrc nor a proxy from the environment has a say.
    fixed = ["--disable", "--silent", "--show-error", "--noproxy", "*"]

    def check(ended: Ended) -> str:
        if ended.status:
            raise CurlError(ended)
        return ended.stdout

    return run([find(["curl"], "curl"), *fixed, *arguments], timeout=timeout).addCallback(check)
