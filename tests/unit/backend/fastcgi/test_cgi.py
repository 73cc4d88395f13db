"""Tests for :mod:`phpgw.backend.fastcgi.cgi`."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from phpgw import __version__
from phpgw.backend.errors import BackendBroken
from phpgw.backend.fastcgi.cgi import Script, client_pairs, find_head, split_response
from tests.support.fakes import handshake


class ScriptTests(SynchronousTestCase):
    def test_environment(self) -> None:
        self.assertEqual(
            {
                b"GATEWAY_INTERFACE": b"CGI/1.1",
                b"SERVER_SOFTWARE": b"phpgw/" + __version__.encode(),
                b"SERVER_PROTOCOL": b"HTTP/1.1",
                b"REQUEST_METHOD": b"POST",
                b"CONTENT_TYPE": b"application/x-www-form-urlencoded",
                b"SCRIPT_FILENAME": b"/srv/app/public/ws.php",
                b"SCRIPT_NAME": b"/ws.php",
                b"DOCUMENT_URI": b"/ws.php",
                b"DOCUMENT_ROOT": b"/srv/app/public",
                b"REDIRECT_STATUS": b"200",
            },
            dict(Script("/srv/app/public/ws.php").pairs),
        )

    def test_document_root(self) -> None:
        for root, name in (
            ("/srv/app", b"/public/ws.php"),
            ("/srv/app/", b"/public/ws.php"),
            ("/srv/app/public", b"/ws.php"),
            ("/", b"/srv/app/public/ws.php"),
        ):
            pairs = dict(Script("/srv/app/public/../public/ws.php", root).pairs)
            self.assertEqual(name, pairs[b"SCRIPT_NAME"])
            self.assertEqual(b"/srv/app/public/ws.php", pairs[b"SCRIPT_FILENAME"])

    def test_script_in_the_root_directory(self) -> None:
        pairs = dict(Script("/ws.php").pairs)
        self.assertEqual((b"/", b"/ws.php"), (pairs[b"DOCUMENT_ROOT"], pairs[b"SCRIPT_NAME"]))

    def test_name_that_is_not_ascii(self) -> None:
        pairs = dict(Script("/srv/应用/聊天.php").pairs)
        self.assertEqual("/聊天.php".encode(), pairs[b"SCRIPT_NAME"])

    def test_not_within_the_document_root(self) -> None:
        for path, root in (
            ("/srv/app/ws.php", "/srv/ap"),
            ("/srv/app/ws.php", "/srv/app/public"),
            ("/srv/app", "/srv/app"),
            ("ws.php", None),
            ("ws.php", "/srv"),
            ("/", None),
        ):
            self.assertRaises(ValueError, Script, path, root)


class ClientTests(SynchronousTestCase):
    def environment(self, **changes: Any) -> dict[bytes, bytes]:
        pairs = client_pairs(handshake(**changes))
        self.assertEqual(len(pairs), len(dict(pairs)), "a name has one value")
        return dict(pairs)

    def headers(self, *headers: tuple[bytes, bytes]) -> dict[bytes, bytes]:
        environment = self.environment(headers=headers, host=b"")
        return {name: value for name, value in environment.items() if name.startswith(b"HTTP_")}

    def test_environment(self) -> None:
        self.assertEqual(
            {
                b"QUERY_STRING": b"room=1&token=a%20b",
                b"REQUEST_URI": b"/chat/%e4?room=1&token=a%20b",
                b"REQUEST_SCHEME": b"http",
                b"REMOTE_ADDR": b"203.0.113.7",
                b"REMOTE_PORT": b"51110",
                b"SERVER_ADDR": b"192.0.2.1",
                b"SERVER_PORT": b"8080",
                b"SERVER_NAME": b"chat.example",
                b"HTTP_HOST": b"Chat.example:8080",
                b"HTTP_COOKIE": b"PHPSESSID=abc",
            },
            self.environment(
                peer_host="203.0.113.7",
                peer_port=51110,
                server_host="192.0.2.1",
                server_port=8080,
                host=b"Chat.example:8080",
                path=b"/chat/%e4",
                query=b"room=1&token=a%20b",
                headers=((b"Cookie", b"PHPSESSID=abc"),),
            ),
        )

    def test_tls(self) -> None:
        environment = self.environment(is_secure=True)
        self.assertEqual((b"on", b"https"), (environment[b"HTTPS"], environment[b"REQUEST_SCHEME"]))
        # Not even as "off" or empty: what PHP programs make of that differs.
        self.assertNotIn(b"HTTPS", self.environment())

    def test_without_query(self) -> None:
        environment = self.environment(path=b"/ws", query=b"")
        self.assertEqual((b"/ws", b""), (environment[b"REQUEST_URI"], environment[b"QUERY_STRING"]))

    def test_unix_socket(self) -> None:
        environment = self.environment(peer_host="", peer_port=0, server_host="", server_port=0)
        for whose in (b"REMOTE", b"SERVER"):
            self.assertEqual(b"unix:", environment[whose + b"_ADDR"])
            self.assertEqual(b"", environment[whose + b"_PORT"])

    def test_server_name(self) -> None:
        """The host that was asked for; where that is none, the address."""
        for host, name in (
            (b"example.org", b"example.org"),
            (b"EXAMPLE.org:443", b"example.org"),
            (b"[2001:db8::1]:8080", b"[2001:db8::1]"),
            (b"192.0.2.7:", b"192.0.2.7"),
            (b"", b"127.0.0.1"),
            (b"a b", b"127.0.0.1"),
            (b"evil/../", b"127.0.0.1"),
            (b"\xff", b"127.0.0.1"),
        ):
            self.assertEqual(name, self.environment(host=host)[b"SERVER_NAME"])

    def test_names_of_headers(self) -> None:
        self.assertEqual(
            {b"HTTP_USER_AGENT": b"Mozilla", b"HTTP_X_REQUEST_ID": b"7"},
            self.headers((b"User-Agent", b"Mozilla"), (b"x-request-id", b"7")),
        )

    def test_repeated_header(self) -> None:
        self.assertEqual(
            {b"HTTP_COOKIE": b"a=1; b=2", b"HTTP_ACCEPT_LANGUAGE": b"de, en"},
            self.headers(
                (b"Cookie", b"a=1"),
                (b"Accept-Language", b"de"),
                (b"COOKIE", b"b=2"),
                (b"accept-language", b"en"),
            ),
        )

    def test_headers_that_would_shadow_others(self) -> None:
        """As in Nginx, an underscore is no way to a hyphen."""
        self.assertEqual(
            {b"HTTP_X_USER": b"nobody"},
            self.headers(
                (b"X_User", b"root"),
                (b"X-User", b"nobody"),
                (b"X.User", b"root"),
                (b"X User", b"root"),
                (b"X-User\0", b"root"),
                (b"", b"root"),
            ),
        )

    def test_proxy(self) -> None:
        """CVE-2016-5385: HTTP_PROXY is an HTTP client's proxy to many a library."""
        self.assertEqual({}, self.headers((b"Proxy", b"http://evil/"), (b"pRoXy", b"http://evil/")))

    def test_headers_of_the_gateway(self) -> None:
        """Nobody else says who somebody is."""
        self.assertEqual(
            {},
            self.headers(
                (b"Phpgw-User", b"root"), (b"PHPGW-State", b"x"), (b"phpgw-client-id", b"you")
            ),
        )

    def test_headers_about_the_handshake_itself(self) -> None:
        """The script gets a POST of ours; the host is taken from elsewhere."""
        self.assertEqual(
            {},
            self.headers(
                (b"Content-Length", b"9"), (b"Content-Type", b"text/xml"), (b"Host", b"evil")
            ),
        )

    @given(st.lists(st.tuples(st.binary(max_size=20), st.binary(max_size=20))))
    def test_any_header(self, headers: list[tuple[bytes, bytes]]) -> None:
        """No header gets at anything but HTTP_ names of its own."""
        plain = self.environment()
        environment = self.environment(headers=tuple(headers))
        for name, value in plain.items():
            self.assertEqual(value, environment[name])
        for name in environment.keys() - plain.keys():
            self.assertRegex(name, rb"\AHTTP_[A-Z0-9_]+\Z")


class AnswerTests(SynchronousTestCase):
    def assert_broken(self, output: bytes) -> None:
        self.assertRaises(BackendBroken, split_response, output)

    def test_as_from_php(self) -> None:
        head, body = split_response(
            b"Status: 404 Not Found\r\n"
            b"X-Powered-By: PHP/8.2.29\r\n"
            b"Set-Cookie: a=1; path=/\r\n"
            b"Set-Cookie: b=2\r\n"
            b"Content-type: text/html;charset=UTF-8\r\n"
            b"\r\n"
            b"File not found.\r\n\r\n"
        )
        self.assertEqual(404, head.status)
        self.assertEqual(
            (
                (b"x-powered-by", b"PHP/8.2.29"),
                (b"set-cookie", b"a=1; path=/"),
                (b"set-cookie", b"b=2"),
                (b"content-type", b"text/html;charset=UTF-8"),
            ),
            head.headers,
        )
        self.assertEqual(b"File not found.\r\n\r\n", body)

    def test_status(self) -> None:
        for line, status in (
            (b"X: y", 200),
            (b"Status: 204", 204),
            (b"status:500 Internal Server Error", 500),
            (b"STATUS:  418  I'm a teapot", 418),
            (b"Status: 200 ", 200),
            (b"Location: /elsewhere", 302),
            (b"Location: /elsewhere\nStatus: 201 Created", 201),
        ):
            self.assertEqual(status, split_response(line + b"\n\n")[0].status)

    def test_status_that_is_none(self) -> None:
        for value in (b"", b"OK", b"20", b"2000", b"099", b"-200", b"200OK", b"\xb2\xb0\xb0"):
            self.assert_broken(b"Status: " + value + b"\r\n\r\n")

    def test_compressed(self) -> None:
        for value in (b"gzip", b"GZIP", b" br ", b"identity, gzip", b"x"):
            self.assert_broken(b"Content-Encoding: " + value + b"\r\n\r\n")
        for value in (b"", b"identity", b" Identity"):
            split_response(b"content-encoding:" + value + b"\r\n\r\nok")

    def test_ends_of_lines(self) -> None:
        """PHP writes CRLF, RFC 3875 asks for LF; a mixture is taken as well."""
        for head in (b"A: b\r\nC: d\r\n\r\n", b"A: b\nC: d\n\n", b"A: b\r\nC: d\n\r\n"):
            found, body = split_response(head + b"\n\nbody\r\n\r\n")
            self.assertEqual(((b"a", b"b"), (b"c", b"d")), found.headers)
            self.assertEqual(b"\n\nbody\r\n\r\n", body)

    def test_no_headers_at_all(self) -> None:
        """PHP does so with an empty default_mimetype and without expose_php."""
        for empty in (b"\r\n", b"\n"):
            head, body = split_response(empty + b"\r\nbody")
            self.assertEqual((200, (), b"\r\nbody"), (head.status, head.headers, body))

    def test_head_that_comes_in_pieces(self) -> None:
        """It is found with its last byte, wherever the output is cut."""
        for whole in (b"A: b\r\nC: d\r\n\r\n", b"A: b\n\n", b"A: b\n\r\n", b"\r\n"):
            for cut in range(len(whole)):
                self.assertIsNone(find_head(whole[:cut]), whole[:cut])
            parts = find_head(whole)
            assert parts is not None
            self.assertEqual(split_response(whole), parts)
            self.assertEqual((parts[0], b"\r\n\r\nbody"), find_head(whole + b"\r\n\r\nbody"))

    def test_no_end_to_the_headers(self) -> None:
        for output in (b"", b"A: b", b"A: b\r\n", b"A: b\r\n\r", b"\r", b"A: b\r\nC: d"):
            self.assert_broken(output)

    def test_no_headers_but_a_text(self) -> None:
        self.assert_broken(b"PHP Fatal error\r\n\r\nbody")

    @given(st.binary(max_size=100))
    def test_anything(self, output: bytes) -> None:
        """It is taken apart, or broken, and nothing of the body gets lost."""
        try:
            head, body = split_response(output)
        except BackendBroken:
            return
        self.assertTrue(output.endswith(body))
        self.assertIn(head.status, range(100, 1000))

    @given(
        st.lists(
            st.tuples(
                st.from_regex(rb"[A-Za-z][A-Za-z-]*", fullmatch=True).filter(
                    lambda name: name.lower() not in (b"status", b"location")
                ),
                st.from_regex(rb"[!-~]([ -~]*[!-~])?", fullmatch=True),
            )
        ),
        st.binary(),
        st.sampled_from((b"\r\n", b"\n")),
    )
    def test_any_answer(
        self, headers: list[tuple[bytes, bytes]], body: bytes, newline: bytes
    ) -> None:
        lines = [b"%b: %b" % header + newline for header in headers]
        head, found = split_response(b"".join(lines) + newline + body)
        self.assertEqual(200, head.status)
        self.assertEqual(tuple((name.lower(), value) for name, value in headers), head.headers)
        self.assertEqual(body, found)
