"""PHP's pushes: what arrives at the client, and what PHP is answered."""

from urllib.parse import quote, urlencode

from twisted.internet.interfaces import IAddress
from twisted.internet.task import Clock
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.resource import Resource

from phpgw.api.access import Access
from phpgw.api.send import SendResource
from phpgw.hub.dispatch import Dispatcher
from phpgw.hub.registry import Registry
from phpgw.metrics import Metrics
from phpgw.time_slices import TimeSlices
from tests.support.fakes import FORM, LOCAL, REMOTE, Answer, fake_client, multipart, request

CLIENT = "127.0.0.1:51110"
PLAIN = ("Content-Type", "text/plain; charset=utf-8")


class SendTestCase(SynchronousTestCase):
    limit = 500
    token: bytes | None = None

    def setUp(self) -> None:
        self.metrics = Metrics()
        registry = Registry()
        client, self.connection = fake_client(CLIENT)
        bystander, self.bystander = fake_client("[::1]:51110")
        registry.add(client)
        registry.add(bystander)
        registry.join(client, "room-1")
        registry.bind(client, "42")
        slices = TimeSlices(Clock())
        dispatcher = Dispatcher(registry, self.metrics, 10, slices)
        self.root = Resource()
        self.root.putChild(
            b"send",
            SendResource(Access(self.token), dispatcher, slices, self.metrics, self.limit),
        )

    def post(
        self,
        body: bytes,
        *headers: tuple[str, str],
        query: str = "",
        peer: IAddress = LOCAL,
        method: str = "POST",
    ) -> Answer:
        return request(
            self.root,
            method,
            "/send" + query,
            headers=headers or [FORM],
            body=body,
            limit=self.limit,
            peer=peer,
        )

    def push(self, **fields: str | bytes) -> Answer:
        """Push these fields as a form."""
        return self.post(urlencode(fields).encode())

    def assert_sent(self, answer: Answer, *messages: bytes) -> None:
        """The push succeeded, and the client has got these messages so far, as text."""
        self.assertEqual((200, b"Message sent"), (answer.status, answer.body))
        self.assertEqual(PLAIN[1], answer.headers["Content-Type"])
        self.assertEqual([(message, False) for message in messages], self.connection.sent)

    def assert_refused(self, answer: Answer, status: int, body: bytes) -> None:
        """The push was refused in so many words, and nobody has got anything."""
        self.assertEqual((status, body), (answer.status, answer.body))
        self.assertEqual(PLAIN[1], answer.headers["Content-Type"])
        self.assertEqual([], self.connection.sent + self.bystander.sent)


class DeliveryTests(SendTestCase):
    def test_all(self) -> None:
        self.assert_sent(self.push(message="hello", all="1"), b"hello")
        self.assertEqual([(b"hello", False)], self.bystander.sent)

    def test_group(self) -> None:
        self.assert_sent(self.push(message="hello", group="room-1"), b"hello")
        self.assertEqual([], self.bystander.sent)

    def test_user(self) -> None:
        self.assert_sent(self.push(message="hello", user="42"), b"hello")
        self.assertEqual([], self.bystander.sent)

    def test_form(self) -> None:
        self.assert_sent(self.push(message="hello", client_id=CLIENT), b"hello")

    def test_as_in_the_article(self) -> None:
        """A type may be there, and says nothing."""
        self.assert_sent(self.push(type="server", message="hello", client_id=CLIENT), b"hello")

    def test_query(self) -> None:
        query = "?" + urlencode({"message": "a b&c", "client_id": CLIENT})
        self.assert_sent(self.post(b"", query=query), b"a b&c")

    def test_form_over_query(self) -> None:
        """Field by field, the form counts where both have one."""
        query = "?" + urlencode({"message": "query", "client_id": CLIENT})
        self.assert_sent(self.post(b"message=form", query=query), b"form")

    def test_multipart(self) -> None:
        """PHP's curl sends an array so."""
        header, body = multipart([("message", "你好\r\n".encode()), ("client_id", CLIENT.encode())])
        self.assert_sent(self.post(body, header), "你好\r\n".encode())

    def test_charset(self) -> None:
        header = ("Content-Type", "application/x-www-form-urlencoded; charset=UTF-8")
        body = urlencode({"message": "é", "client_id": CLIENT}).encode()
        self.assert_sent(self.post(body, header), "é".encode())

    def test_chunked(self) -> None:
        """A body whose length is not known beforehand."""
        form = urlencode({"message": "hello", "client_id": CLIENT}).encode()
        body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(form), form)
        headers = (FORM, ("Transfer-Encoding", "chunked"), ("Content-Length", ""))
        self.assert_sent(self.post(body, *headers), b"hello")

    def test_bytes_as_they_are(self) -> None:
        """Markup, line ends and NUL arrive unchanged."""
        message = '<b>"q"</b> & 100% + é\r\n\x00🙂'
        self.assert_sent(self.push(message=message, client_id=CLIENT), message.encode())

    def test_empty_message(self) -> None:
        self.assert_sent(self.push(message="", client_id=CLIENT), b"")
        header, body = multipart([("message", b""), ("client_id", CLIENT.encode())])
        self.assert_sent(self.post(body, header), b"", b"")

    def test_ipv6_client(self) -> None:
        """Only the named client gets the message."""
        answer = self.push(message="hello", client_id="[::1]:51110")
        self.assertEqual((200, b"Message sent"), (answer.status, answer.body))
        self.assertEqual(([], [(b"hello", False)]), (self.connection.sent, self.bystander.sent))

    def test_in_order(self) -> None:
        self.push(message="one", client_id=CLIENT)
        self.assert_sent(self.push(message="two", client_id=CLIENT), b"one", b"two")

    def test_largest(self) -> None:
        """A body of exactly the limit is taken."""
        form = f"client_id={CLIENT}&message=".encode()
        message = b"x" * (self.limit - len(form))
        self.assert_sent(self.post(form + message), message)

    def test_counted(self) -> None:
        self.push(message="hello", client_id=CLIENT)
        self.push(message="hello", client_id="nobody")
        self.push(message="hello")
        metrics = self.metrics
        self.assertEqual((1, 2), (metrics.pushes_delivered.total(), metrics.pushes_refused.total()))

    def test_semicolon(self) -> None:
        """PHP reads such a form without a cut, and so does everybody else."""
        answer = self.post(f"client_id={CLIENT}&message=one;two".encode())
        self.assert_sent(answer, b"one;two")


class RefusalTests(SendTestCase):
    def test_unknown_client(self) -> None:
        for client_id in ("127.0.0.1:1", "", f" {CLIENT}", "é"):
            answer = self.push(message="hello", client_id=client_id)
            self.assert_refused(answer, 404, b"Client not found\n")

    def test_nobody(self) -> None:
        for kind in ("group", "user"):
            for name in ("nobody", "", "\x00"):
                answer = self.push(message="hello", **{kind: name})
                self.assert_refused(answer, 404, f"{kind.capitalize()} not found\n".encode())

    def test_no_push(self) -> None:
        """The rest of that is tests.unit.api.test_push's."""
        self.assert_refused(
            self.push(client_id=CLIENT),
            400,
            b"Bad Request: the field message is missing; send message and client_id as a form\n",
        )

    def test_no_form(self) -> None:
        """JSON, nothing at all, a form under another name: told what to send."""
        form = urlencode({"message": "x", "client_id": CLIENT}).encode()
        for body, content_type in (
            (b'{"message": "x"}', "application/json"),
            (b"", FORM[1]),
            (b"", "application/json"),
            (form, "text/plain"),
        ):
            answer = self.post(body, ("Content-Type", content_type))
            self.assertEqual(400, answer.status)
            self.assertIn(b"send message and client_id as a form", answer.body)

    def test_not_utf8(self) -> None:
        """A browser would hang up on such a message."""
        complaint = b"Bad Request: the form's text is not UTF-8\n"
        for field in ("message", "client_id"):
            fields = {"message": b"x", "client_id": CLIENT.encode(), field: b"\xff"}
            self.assert_refused(self.push(**fields), 400, complaint)
            header, body = multipart(fields.items())
            self.assert_refused(self.post(body, header), 400, complaint)

    def test_other_methods(self) -> None:
        query = "?" + urlencode({"message": "hello", "client_id": CLIENT})
        for method in ("GET", "PUT", "DELETE", "PATCH", "OPTIONS"):
            answer = self.post(b"", query=query, method=method)
            self.assert_refused(answer, 405, b"Method Not Allowed: push with POST\n")
            self.assertEqual("POST", answer.headers["Allow"])
        self.assertEqual(405, self.post(b"", query=query, method="HEAD").status)

    def test_too_large(self) -> None:
        """Whatever the kind of form, and one byte is enough."""
        complaint = b"Content Too Large: a push may have 500 bytes at most (--max-push-size)\n"
        form = f"client_id={CLIENT}&message=".encode()
        self.assert_refused(self.post(form.ljust(501, b"x")), 413, complaint)
        header, body = multipart([("message", b"x" * 500), ("client_id", CLIENT.encode())])
        self.assert_refused(self.post(body, header), 413, complaint)

    def test_large_but_complete_query(self) -> None:
        """Fields in the query do not make up for a body that is too large."""
        query = "?" + urlencode({"message": "hello", "client_id": CLIENT})
        self.assertEqual(413, self.post(b"x" * 501, query=query).status)
        self.assertEqual([], self.connection.sent)

    def test_mail_as_field(self) -> None:
        """A part is bytes, whatever its type says."""
        header, body = multipart([("client_id", CLIENT.encode()), ("message", b"hello")])
        body = body.replace(b'"message"', b'"message"\r\nContent-Type: message/rfc822')
        status = self.post(body, header).status
        self.assertEqual(200, status)
        self.assertEqual([(b"hello", False)], self.connection.sent)

    def test_encoded_field_name(self) -> None:
        header, body = multipart([("client_id", CLIENT.encode()), ("message", b"hello")])
        body = body.replace(b'name="message"', b"name*=utf-8''message")
        self.assertIn(self.post(body, header).status, (200, 400))


class DenialTests(SendTestCase):
    form = urlencode({"message": "secret words", "client_id": CLIENT}).encode()

    def test_stranger(self) -> None:
        answer = self.post(self.form, peer=REMOTE)
        self.assertEqual(403, answer.status)
        self.assertEqual([], self.connection.sent)
        self.assertEqual(1, self.metrics.pushes_refused.total())

    def test_through_a_proxy(self) -> None:
        self.assertEqual(403, self.post(self.form, FORM, ("X-Forwarded-For", "127.0.0.1")).status)
        self.assertEqual([], self.connection.sent)

    def test_from_a_page(self) -> None:
        """A form on a web page that a browser on this machine shows pushes nothing."""
        self.assertEqual(403, self.post(self.form, FORM, ("Origin", "null")).status)
        self.assertEqual([], self.connection.sent)

    def test_log(self) -> None:
        """The log tells who was refused and why, and not what they had to say."""
        with capturedLogs() as events:
            self.post(self.form, query="?message=" + quote("secret words"), peer=REMOTE)
        text = "\n".join(formatEvent(event) for event in events)
        self.assertIn(
            "Denied 203.0.113.7:51110 a request for /send: The request came from another", text
        )
        self.assertNotIn("secret", text)

    def test_tells_nothing(self) -> None:
        """A stranger does not learn which clients there are, nor what would be a proper form."""
        for body in (self.form, b"client_id=nobody&message=x", b"", b"x" * 501):
            self.assertEqual(403, self.post(body, peer=REMOTE).status)

    def test_form_is_not_read(self) -> None:
        """A stranger's form is not even looked at: to read one can take many seconds."""
        answer = self.post(b"x", ("Content-Type", "multipart/form-data"), peer=REMOTE)
        self.assertEqual(403, answer.status)


class EmptyTests(SynchronousTestCase):
    def test_all(self) -> None:
        """All of nobody is no error."""
        metrics = Metrics()
        slices = TimeSlices(Clock())
        dispatcher = Dispatcher(Registry(), metrics, 10, slices)
        resource = SendResource(Access(), dispatcher, slices, metrics, 500)
        root = Resource()
        root.putChild(b"send", resource)
        self.assertEqual(200, request(root, "POST", "/send?message=x&all=1").status)


class TokenTests(SendTestCase):
    token = b"s3cret"

    def test_right(self) -> None:
        body = urlencode({"message": "hello", "client_id": CLIENT}).encode()
        answer = self.post(body, FORM, ("Authorization", "Bearer s3cret"), peer=REMOTE)
        self.assert_sent(answer, b"hello")

    def test_wrong(self) -> None:
        for headers in ([FORM], [FORM, ("Authorization", "Bearer guess")]):
            answer = self.post(b"", *headers, peer=REMOTE)
            self.assertEqual(401, answer.status)
            self.assertEqual('Bearer realm="phpgw"', answer.headers["WWW-Authenticate"])
