"""The API by the public way: nobody should reach it."""

from collections.abc import Iterator
from posixpath import dirname

from phpgw.checks.finding import Finding, Subject
from phpgw.checks.public_connection import PublicConnections
from phpgw.checks.public_request import PublicResponse, exchange, plain_request

API_EXPOSED = Subject("api-exposed")
_STATS = "/stats"
_COUNTER = b'"clients_now"'
_REFUSED = b'"error"'


def check_exposure(connections: PublicConnections) -> Iterator[Finding]:
    """Yield whether strangers reach the API, or would but for the gateway's own rules."""
    url = connections.url
    # At the root of the site; or below the WebSocket's path, if that is passed on as a directory.
    targets = dict.fromkeys(
        (_STATS, f"{dirname(url.path).rstrip('/')}{_STATS}", f"{url.path.rstrip('/')}{_STATS}")
    )
    answers: dict[str, PublicResponse] = {}
    for target in targets:
        try:
            with connections.open() as connection:
                answers[target] = exchange(connection, plain_request(url, target))
        except OSError:
            continue
    for target, answer in answers.items():
        if answer.status == 200 and _COUNTER in answer.body:
            yield _open(url.path, target, answer)
            return
    for target, answer in answers.items():
        if answer.status in (401, 403) and _is_ours(answer):
            yield _passed_on(url.path, target, answer)
            return
    yield API_EXPOSED.ok("The API is not reached by the public way")


def _is_ours(answer: PublicResponse) -> bool:
    is_json = answer.headers.get("content-type", "") == "application/json"
    return is_json and answer.body.startswith(b"{" + _REFUSED)


def _open(path: str, target: str, answer: PublicResponse) -> Finding:
    return API_EXPOSED.wrong(
        f"Anybody can use the gateway's API, at {target}",
        why="Strangers can send messages to all clients, read their states, and close them.",
        fix=f"location = {path} {{",
        where="the proxy's configuration, in place of a location that passes on more; and "
        "api-listen in the gateway's",
        seen=answer.describe(),
    )


def _passed_on(path: str, target: str, answer: PublicResponse) -> Finding:
    return API_EXPOSED.warn(
        f"The proxy passes requests for the API on, and the gateway refuses them ({target})",
        why="One more mistake, and strangers could send messages to all clients.",
        fix=f"location = {path} {{",
        where="the proxy's configuration, in place of a location that passes on more",
        seen=answer.describe(),
    )
