"""Tests for :mod:`phpgw.backend.error_pages`."""

from twisted.trial.unittest import SynchronousTestCase

from phpgw.backend.error_pages import is_not_passed_on, is_server_error_page
from phpgw.backend.reply import Head, Reply

_NGINX = (
    b"<html>\r\n<head><title>%s</title></head>\r\n<body>\r\n<center><h1>%s</h1></center>\r\n"
    b"<hr><center>%s</center>\r\n</body>\r\n</html>\r\n"
)
_APACHE = (
    b'<!DOCTYPE HTML PUBLIC "-//IETF//DTD HTML 2.0//EN">\n<html><head>\n'
    b"<title>503 Service Unavailable</title>\n</head><body>\n<h1>Service Unavailable</h1>\n"
    b"<p>The server is temporarily unable to service your request due to maintenance downtime or "
    b"capacity problems. Please try again later.</p>\n</body></html>\n"
)
_HAPROXY = (
    b"<html><body><h1>503 Service Unavailable</h1>\nNo server is available to handle this "
    b"request.\n</body></html>\n"
)
_STATIC = b"<!DOCTYPE html>\n<html><title>Error</title><h1>An error occurred.</h1></html>"
_LARAVEL = b"<!DOCTYPE html>\n<html><title>Service Unavailable</title> 503 </html>"


def _reply(status: int, content_type: bytes | None, body: bytes, **headers: bytes) -> Reply:
    found = [(name.replace("_", "-").encode(), value) for name, value in headers.items()]
    if content_type is not None:
        found.append((b"content-type", content_type))
    return Reply(Head(status, tuple(found)), body)


class WebServerTests(SynchronousTestCase):
    def test_web_servers_pages(self) -> None:
        bad_gateway = (b"502 Bad Gateway",) * 2
        for reply in (
            _reply(502, b"text/html", _NGINX % (*bad_gateway, b"nginx/1.22.1")),
            _reply(502, b"text/html", _NGINX % (*bad_gateway, b"nginx")),
            _reply(502, b"text/html; charset=utf-8", _NGINX % (*bad_gateway, b"openresty")),
            _reply(504, b"text/html", _NGINX % (*(b"504 Gateway Time-out",) * 2, b"nginx")),
            _reply(503, b"text/html; charset=iso-8859-1", _APACHE),
            _reply(503, b"text/html", _HAPROXY),
            _reply(502, b"text/html", _STATIC),
            _reply(502, None, b""),
            _reply(502, b"text/plain; charset=utf-8", b"Bad Gateway"),
            _reply(503, b"text/plain; charset=utf-8", b"no available server\n"),
        ):
            self.assertTrue(is_server_error_page(reply), reply)

    def test_scripts_own(self) -> None:
        for reply in (
            _reply(503, b"text/html; charset=UTF-8", b""),
            _reply(503, b"text/html; charset=utf-8", _LARAVEL, retry_after=b"60"),
            _reply(503, b"text/html", _LARAVEL, x_powered_by=b"PHP/8.2.0"),
            _reply(502, b"text/html", _LARAVEL, set_cookie=b"a=b"),
            _reply(502, b"text/html", b"", expires=b"Thu, 19 Nov 1981 08:52:00 GMT"),
            _reply(503, b"application/json", b'{"message": "Service Unavailable"}'),
            _reply(503, b"text/plain;charset=UTF-8", b"we are moving house"),
            _reply(200, b"text/html", _NGINX % (b"502", b"502", b"nginx")),
            _reply(500, b"text/html", b"Oops"),
        ):
            self.assertFalse(is_server_error_page(reply), reply)
            self.assertFalse(is_not_passed_on(reply), reply)

    def test_php_was_not_tried(self) -> None:
        for status, phrase in (
            (503, b"Service Temporarily Unavailable"),
            (429, b"Too Many Requests"),
        ):
            title = b"%d %b" % (status, phrase)
            page = _NGINX % (title, title, b"nginx/1.22.1")
            self.assertTrue(is_not_passed_on(_reply(status, b"text/html", page)))
            self.assertFalse(is_not_passed_on(_reply(502, b"text/html", page)))
        self.assertFalse(is_not_passed_on(_reply(503, b"text/html; charset=iso-8859-1", _APACHE)))
