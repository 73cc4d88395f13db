"""Tests for :mod:`phpgw.cli.api_client`."""

import json
from urllib.parse import parse_qs, urlsplit

from twisted.trial.unittest import SynchronousTestCase

from phpgw.cli.api_address import ApiAccess, ApiAddress, TcpAddress
from phpgw.cli.api_client import ApiClient
from phpgw.cli.api_exchange import ApiRequest, ApiResponse
from phpgw.cli.errors import CommandFailed, GatewayUnreachable


class ApiClientTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.requests: list[ApiRequest] = []
        self.responses: list[ApiResponse] = []

    def client(self, *responses: tuple[int, object], token: bytes | None = None) -> ApiClient:
        for status, body in responses:
            data = body if isinstance(body, bytes) else json.dumps(body).encode()
            self.responses.append(ApiResponse(status, data))

        def exchange(address: ApiAddress, request: ApiRequest) -> ApiResponse:
            self.requests.append(request)
            return self.responses.pop(0)

        return ApiClient(ApiAccess(TcpAddress("h", 1), token), exchange)

    def test_names_in_paths(self) -> None:
        """They are percent-encoded, whatever is in them."""
        client = self.client((200, {}))
        client.get("clients", "a/b?ü %\udcff")
        self.assertEqual("/clients/a%2Fb%3F%C3%BC%20%25%FF", self.requests[0].target)

    def test_query(self) -> None:
        """Parameters that are not given are left out."""
        self.client((200, {})).get("clients", group="a&b", user=None, limit=3)
        self.assertEqual("/clients?group=a%26b&limit=3", self.requests[0].target)

    def test_token(self) -> None:
        self.client((200, {}), token=b"s3cret").get("stats")
        self.client((200, {})).get("stats")
        sent = [request.headers.get("Authorization") for request in self.requests]
        self.assertEqual(["Bearer s3cret", None], sent)

    def test_run(self) -> None:
        results = self.client((200, [{"delivered": 1}])).run([{"op": "unbind"}])
        self.assertEqual([{"delivered": 1}], results)
        [request] = self.requests
        self.assertEqual(("POST", "/commands"), (request.method, request.target))
        self.assertEqual([{"op": "unbind"}], json.loads(request.body))

    def test_pages(self) -> None:
        """A page that is longer than the API's is put together from several."""

        def page(first: int, size: int, following: str | None) -> tuple[int, object]:
            return 200, {
                "clients": [*range(first, first + size)],
                "next": following,
                "total": 2500,
            }

        client = self.client(page(0, 1000, "c999"), page(1000, 1000, "c1999"), page(2000, 1, "x"))
        found = client.clients(2001, None, "room", None)
        self.assertEqual(
            {"clients": [*range(2001)], "next": "x", "total": 2500},
            found,
        )
        queries = [parse_qs(urlsplit(each.target).query) for each in self.requests]
        self.assertEqual(
            [
                {"limit": ["1000"], "group": ["room"]},
                {"limit": ["1000"], "after": ["c999"], "group": ["room"]},
                {"limit": ["1"], "after": ["c1999"], "group": ["room"]},
            ],
            queries,
        )

    def test_last_page(self) -> None:
        client = self.client((200, {"clients": [1], "next": None, "total": 1}))
        self.assertEqual([1], client.clients(5000, None, None, None)["clients"])

    def test_refused(self) -> None:
        """The gateway's own words say what is wrong."""
        client = self.client((404, {"error": "client not found"}))
        error = self.assertRaises(CommandFailed, client.get, "clients", "x")
        self.assertEqual("client not found", str(error))

    def test_no_token(self) -> None:
        client = self.client((401, {"error": "Without a token."}))
        error = self.assertRaises(CommandFailed, client.get, "stats")
        self.assertEqual("Without a token. Name that file with --api-token-file.", str(error))

    def test_strangers(self) -> None:
        """Something else is there that speaks HTTP."""
        responses: tuple[tuple[int, object], ...] = (
            (200, b"<html>"),
            (404, b"<html>"),
            (404, {"message": "x"}),
            (500, []),
            (200, b"[" * 100_000),
        )
        for response in responses:
            client = self.client(response)
            error = self.assertRaises(GatewayUnreachable, client.get, "stats")
            self.assertIn("what is at http://h:1 does not reply like phpgw's API", str(error))
        self.assertRaises(GatewayUnreachable, self.client((404, b"no")).obstacles)

    def test_obstacles(self) -> None:
        self.assertEqual([], self.client((200, b"ready\n")).obstacles())
        self.assertEqual(["one", "two"], self.client((503, b"one\ntwo\n")).obstacles())
