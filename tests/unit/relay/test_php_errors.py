"""Tests for :mod:`phpgw.relay.php_errors`; for a real PHP see tests/system."""

from twisted.trial.unittest import SynchronousTestCase

from phpgw.relay.php_errors import PhpError, find_php_error

_TEXT = b"\nWarning: Undefined variable $x in /srv/app/chat.php on line 3\n"
_HTML = (
    b"<br />\n<b>Warning</b>:  Undefined variable $x in <b>/srv/app/chat.php</b>"
    b" on line <b>3</b><br />\n"
)
_WARNING = "Warning: Undefined variable $x in /srv/app/chat.php on line 3"
_TABLE = (
    b"<br />\n<font size='1'><table class='xdebug-error xe-notice' dir='ltr' border='1'>\n"
    b"<tr><th align='left' colspan=\"5\"><span style='color: #fce94f;'>( ! )</span> Notice: "
    b"a &lt;b&gt; in /srv/app/chat.php on line <i>3</i></th></tr>\n</table></font>\n"
)
_TEXT_DUMP = b"/srv/app/chat.php:3:\narray(1) {\n  'a' =>\n  int(1)\n}\n"
_HTML_DUMP = (
    b"<pre class='xdebug-var-dump' dir='ltr'>\n<small>/srv/app/chat.php:3:</small>"
    b"<small>string</small> <font color='#cc0000'>'a'</font> <i>(length=1)</i>\n</pre>"
)


class FoundTests(SynchronousTestCase):
    def found(self, body: bytes, said: bytes = b"") -> PhpError:
        php_error = find_php_error(body, said)
        assert php_error is not None, body
        return php_error

    def test_text(self) -> None:
        self.assertEqual(self.found(_TEXT), PhpError("Warning", _WARNING))

    def test_html(self) -> None:
        php_error = self.found(_HTML)
        self.assertEqual((php_error.kind, php_error.line.replace("  ", " ")), ("Warning", _WARNING))

    def test_amid_what_the_script_prints(self) -> None:
        for report in (_TEXT, _HTML, _TABLE, _HTML_DUMP):
            for body in (b"before" + report, report + b'{"a": 1}', b"before" + report + b"after"):
                self.found(body)

    def test_without_white_space_around(self) -> None:
        """A script may trim what it has gathered."""
        self.found(_TEXT.strip())
        self.found(_HTML.strip())
        self.found(_TEXT_DUMP.strip())

    def test_every_kind(self) -> None:
        for kind in (
            *("Fatal error", "Recoverable fatal error", "Parse error", "Unknown error"),
            *("Warning", "Notice", "Deprecated", "Strict Standards"),
        ):
            for report in (_TEXT, _HTML):
                body = report.replace(b"Warning", kind.encode())
                self.assertEqual(self.found(body).kind, kind)

    def test_as_in_a_log(self) -> None:
        body = _TEXT.replace(b"Warning: ", b"PHP Warning:  ")
        self.assertEqual(self.found(body).line, _WARNING.replace(": ", ":  ", 1))

    def test_uncaught_exception(self) -> None:
        """With lines in between, as many as the stack has frames."""
        frames = b"".join(b"#%d /srv/app/in.php(1): f()\n" % number for number in range(1000))
        body = (
            b"\nFatal error: Uncaught LogicException: no\nin /srv/app/chat.php:3\nStack trace:\n"
            + frames
            + b"#1000 {main}\n  thrown in /srv/app/chat.php on line 3\n"
        )
        self.assertEqual(
            self.found(body), PhpError("Fatal error", "Fatal error: Uncaught LogicException: no")
        )

    def test_places(self) -> None:
        for place in (
            *(b"C:\\app\\chat.php", b"phar:///srv/app.phar/chat.php", b"Unknown"),
            *(b"/srv/in here/chat.php", b"/srv/chat.php(3) : eval()'d code"),
        ):
            self.found(_TEXT.replace(b"/srv/app/chat.php", place))
            self.found(_HTML.replace(b"/srv/app/chat.php", place))

    def test_xdebug(self) -> None:
        self.assertEqual(
            self.found(_TABLE), PhpError("Notice", "Notice: a <b> in /srv/app/chat.php on line 3")
        )
        for dump in (_TEXT_DUMP, b"text\n" + _TEXT_DUMP, _HTML_DUMP):
            self.assertEqual(self.found(dump), PhpError("var_dump", "/srv/app/chat.php:3:"))

    def test_fit_for_the_log(self) -> None:
        """One line, not too long, and nothing in it that a terminal would act upon."""
        body = _TEXT.replace(b"$x", b"\x1b[2J\r\xff" + b"x" * 1000)
        line = self.found(body).line
        self.assertEqual(line[:33], "Warning: Undefined variable \\x1b[")
        self.assertTrue(line.isprintable())
        self.assertLess(len(line), 400)


class PassedTests(SynchronousTestCase):
    def assert_passes(self, body: bytes, said: bytes = b"") -> None:
        self.assertIsNone(find_php_error(body, said), body)

    def test_people_talking(self) -> None:
        for text in (
            b"",
            b"Warning: in line 3",
            b"I get a Warning: Undefined variable $x in /srv/app/chat.php on line 3",
            b"Notice: we meet in /dev/lounge, on line 3 of the plan",
            b"Warning: there is a typo on line 3",
            b"Warning: see the book on line 3\n",
            b"\nNotice: the train in Unna is on line 3",
            b"Fatal error\n in /srv/app/chat.php on line 3\n",
            b"Warning: broken in /srv/app/chat.php on line 3, says bob",
            b"Parse error: it says on line three in /srv/app/chat.php",
            b"the file is in /srv/app/chat.php on line 3\n",
            b"/srv/app/chat.php:3: look there",
            b"see /srv/app/chat.php:3:\nit is wrong",
            b"class='xdebug-error' is what I see, and xdebug-var-dump on line 3",
        ):
            self.assert_passes(text)

    def test_json(self) -> None:
        """A string in it has no line feeds."""
        quoted = _TEXT.replace(b"\n", b"\\n")
        self.assert_passes(b'{"from": "bob", "text": "%b"}' % quoted)
        self.assert_passes(b'[\n"%b",\n"%b"\n]' % (quoted, _TEXT_DUMP.replace(b"\n", b"\\n")))

    def test_escaped_html(self) -> None:
        self.assert_passes(_HTML.replace(b"<", b"&lt;").replace(b">", b"&gt;"))

    def test_echo(self) -> None:
        """Whoever says this word for word has it already."""
        for report in (_TEXT, _HTML):
            said = b"look: " + report + b"what now?"
            self.assert_passes(b"<p>" + said + b"</p>", said)
        for report in (_TABLE, _TEXT_DUMP, _HTML_DUMP):
            said = b"look: " + report
            self.assert_passes(b"you say: " + said, said)

    def test_no_echo(self) -> None:
        """What is like it, or a part of it, lets nothing pass: it would be easy to guess."""
        for report in (_TEXT, _HTML, _TABLE, _TEXT_DUMP, _HTML_DUMP):
            for said in (
                report.replace(b"3", b"4"),
                report.replace(b"/srv/app", b""),
                report[: len(report) // 2],
                *(b"Warning: ", b" on line 3", b"\n", b"class='xdebug-", b"<small>"),
            ):
                self.assertIsNotNone(find_php_error(report, said), (report, said))

    def test_said_something_else(self) -> None:
        for report in (_TEXT, _HTML, _TABLE, _TEXT_DUMP, _HTML_DUMP):
            self.assertIsNotNone(find_php_error(report, b"x" * 10_000))

    def test_what_xdebug_adds(self) -> None:
        """Whoever knows a script and its faults does not get to see its variables."""
        for report, more in (
            (_TEXT, b"\nCall Stack:\n    0.1 1. f($secret = 's3cret') /srv/app/chat.php:3\n"),
            (_TABLE, b"<tr><td>f( $secret = 's3cret' )</td></tr>"),
            (_TEXT_DUMP, b"s3cret"),
            (_HTML_DUMP, b"s3cret"),
        ):
            self.assertIsNotNone(find_php_error(report + more, report))

    def test_echo_and_a_report(self) -> None:
        other = _TEXT.replace(b"line 3", b"line 7")
        php_error = find_php_error(_TEXT + b"..." + other, _TEXT)
        assert php_error is not None
        self.assertIn("line 7", php_error.line)


class EffortTests(SynchronousTestCase):
    def test_large_and_hostile(self) -> None:
        """What would keep an effort that grows with the square of the length busy for minutes."""
        for piece in (
            *(b"\nWarning: ", b" on line 3 ", b" in /a on line 3\n", b"/a.php:", b"\n/a.php:3:\n"),
            *(b"\nWarning: x\ny in b on line 3\n", b" in /", b"<pre class='xdebug-var-dump'>\n"),
        ):
            for frame in (b"%b on line 3 ", b"\nWarning: %b on line 3\n ", b"xdebug-var-dump %b"):
                body = frame % (piece * (1_000_000 // len(piece)))
                find_php_error(body)
                find_php_error(body, body)
        for report in (_TEXT, _HTML, _TABLE, _TEXT_DUMP, _HTML_DUMP):
            body = report * (1_000_000 // len(report))
            self.assertIsNone(find_php_error(body, body))
            self.assertIsNotNone(find_php_error(body, body[1000:-1000]))
