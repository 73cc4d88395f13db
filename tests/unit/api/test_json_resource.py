"""What all of the API's paths have in common that speak JSON."""

from twisted.trial.unittest import SynchronousTestCase

from tests.support.fakes import REMOTE
from tests.support.in_memory_api import InMemoryApi

# With how they can be asked.
PATHS = {
    "/commands": "POST",
    "/clients": "GET, HEAD",
    "/clients/a": "GET, HEAD, DELETE",
    "/clients/nobody": "GET, HEAD, DELETE",
    "/groups": "GET, HEAD",
    "/groups/x": "GET, HEAD",
    "/groups/nobody": "GET, HEAD",
    "/users": "GET, HEAD",
    "/users/42": "GET, HEAD",
    "/stats": "GET, HEAD",
    "/openapi.json": "GET, HEAD",
}


class PathTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.api = InMemoryApi()
        self.connection = self.api.connect("a", "x", user="42")

    def test_other_methods(self) -> None:
        for path, allowed in PATHS.items():
            for method in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "BREW"):
                if method not in allowed.split(", "):
                    answer = self.api.ask(method, path)
                    self.assertEqual((405, allowed), (answer.status, answer.headers["Allow"]))
                    expected = b'{"error": "this can be asked with %b"}\n' % allowed.encode()
                    self.assertEqual(b"" if method == "HEAD" else expected, answer.body)

    def test_head(self) -> None:
        """It says of the body what GET would say, and has none."""
        for path, allowed in PATHS.items():
            if "GET" in allowed:
                get, head = self.api.ask("GET", path), self.api.ask("HEAD", path)
                self.assertEqual((get.status, b""), (head.status, head.body))
                for name in ("Content-Type", "Content-Length"):
                    self.assertEqual(get.headers[name], head.headers[name], path)

    def test_nothing_there(self) -> None:
        for path in PATHS:
            for beyond in (f"{path}/more/", f"{path}/more/and/more"):
                self.assertEqual(404, self.api.ask("GET", beyond).status, beyond)
        self.assertEqual(
            (404, {"error": "there is nothing here"}), self.api.refusal("PUT", "/stats/x")
        )

    def test_unknown_parameter(self) -> None:
        for path, allowed in PATHS.items():
            for method in allowed.split(", "):
                if "nobody" not in path:
                    answer = self.api.ask(method, f"{path}?x=1", body=b"[]")
                    self.assertEqual(400, answer.status, f"{method} {path}")
        self.assertIdentical(None, self.connection.closed)

    def test_people_can_read_it(self) -> None:
        self.api.connect("用户")
        self.assertIn("用户", self.api.ask("GET", "/clients").body.decode())


class AccessTests(SynchronousTestCase):
    def test_stranger(self) -> None:
        """He learns not even what there is."""
        api = InMemoryApi()
        for path in (*PATHS, "/stats/x", "/clients/a/b"):
            for method in ("GET", "POST", "DELETE", "BREW"):
                status, content = api.refusal(method, path, peer=REMOTE)
                self.assertEqual(403, status)
                self.assertIn("came from another machine", content["error"])

    def test_page_in_a_browser(self) -> None:
        status, _ = InMemoryApi().refusal("DELETE", "/clients/a", headers=[("Origin", "null")])
        self.assertEqual(403, status)

    def test_token(self) -> None:
        api = InMemoryApi(token=b"s3cret")
        for path in PATHS:
            answer = api.ask("GET", path, peer=REMOTE)
            self.assertEqual(401, answer.status)
            self.assertEqual('Bearer realm="phpgw"', answer.headers["WWW-Authenticate"])
            self.assertEqual("application/json", answer.headers["Content-Type"])
        answer = api.ask(
            "GET", "/clients", peer=REMOTE, headers=[("Authorization", "Bearer s3cret")]
        )
        self.assertEqual(200, answer.status)
