"""Something that looks like the gateway's API, for what is said over the wire to the byte."""

import json
from typing import NamedTuple

from twisted.internet.endpoints import serverFromString
from twisted.trial.unittest import TestCase
from twisted.web.resource import Resource
from twisted.web.server import Request, Site

from tests.support.real.process import free_port


class RecordedRequest(NamedTuple):
    """A request that was made."""

    method: str
    uri: str
    headers: dict[str, str]
    body: str
    connection: object


class FakeGatewayApi(Resource):
    """Answers as it is told, in place of a gateway, and remembers what it was asked.

    :ivar answers: (status, body) for each request to come; the last one for all that follow.
    """

    isLeaf = True

    def __init__(self, *answers: tuple[int, object]) -> None:
        super().__init__()
        self.answers = list(answers)
        self.asked: list[RecordedRequest] = []

    def render(self, request: Request) -> bytes:
        headers = {
            name.decode().lower(): values[-1].decode()
            for name, values in request.requestHeaders.getAllRawHeaders()
        }
        assert request.content is not None
        body = request.content.read().decode()
        method, uri = request.method.decode(), request.uri.decode()
        self.asked.append(RecordedRequest(method, uri, headers, body, request.channel))
        status, answer = self.answers[0] if len(self.answers) == 1 else self.answers.pop(0)
        request.setResponseCode(status)
        return (answer if isinstance(answer, str) else json.dumps(answer)).encode()


class FakeGatewayApiTestCase(TestCase):
    """A test with a stand-in for the gateway.

    :ivar url: where it is.
    """

    url: str

    def serve(self, *answers: tuple[int, object]) -> FakeGatewayApi:
        """Start one on a port of its own."""
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        return self.serve_at(f"tcp:{port}:interface=127.0.0.1", *answers)

    def serve_at(self, endpoint: str, *answers: tuple[int, object]) -> FakeGatewayApi:
        """Start one at a Twisted server endpoint."""
        from twisted.internet import reactor

        stand_in = FakeGatewayApi(*answers)
        listening = serverFromString(reactor, endpoint).listen(Site(stand_in))
        self.addCleanup(self.successResultOf(listening).stopListening)
        return stand_in
