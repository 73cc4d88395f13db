"""The helper programs' end of the conversation with :class:`benchmarks.helper.Helper`."""

import asyncio
import json
import resource
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any


def say(word: str, **what: Any) -> None:
    """Tell the benchmark something."""
    sys.stdout.write(json.dumps({"say": word, **what}) + "\n")
    sys.stdout.flush()


async def requests() -> AsyncIterator[dict[str, Any]]:
    """What the benchmark asks for, until it closes the pipe."""
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        yield json.loads(line)


def run(jobs: dict[str, Callable[..., Awaitable[None]]]) -> None:
    """Do the job that the command line describes, and say why if it does not work."""
    raise_open_files()
    job = json.loads(sys.argv[1])
    work = jobs[job.pop("job")]

    async def main() -> None:
        await work(**job)

    try:
        asyncio.run(main())
    except Exception as error:
        say("failed", reason=f"{type(error).__name__}: {error}")
        raise SystemExit(1) from None


def raise_open_files() -> int:
    """Allow as many open files as the system lets us have, and return how many that is."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard
