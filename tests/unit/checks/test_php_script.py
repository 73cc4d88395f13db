"""Tests for :mod:`phpgw.checks.php_script`."""

import json
import os
import shlex
import tomllib
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from phpgw.backend.fastcgi.stderr import (
    SCRIPT_DENIED,
    SCRIPT_NOT_FOUND,
    find_reported_error,
)
from phpgw.checks import php_script
from phpgw.checks.finding import Finding, Level
from phpgw.checks.php_script import check_script, ini_in_reply
from tests.support.checked_situation import SCRIPT, brief, replied, running, situation
from tests.support.short_directory import short_directory

_BOM = b"\xef\xbb\xbf"
_INI = {"phpgw_check": {"ini": {"post_max_size": "8M", "broken": 1}}}


def check(script: dict[str, Any], **settings: Any) -> tuple[Finding, Finding]:
    """Return the findings about the script, and about its output."""
    about_script, output = check_script(running(script, **settings))
    assert (about_script.id, output.id) == ("php-script", "php-output")
    return about_script, output


class ScriptTests(SynchronousTestCase):
    def test_unknown_event(self) -> None:
        """A script that refuses the event, or takes it for a message, was reached."""
        for script in (
            replied(b"", 200),
            replied(b"", 204),
            replied(b"unknown type", 400),
            replied(b"no such event", 404),
            replied(b"", 422),
        ):
            finding, output = check(script)
            self.assertEqual((Level.OK, Level.OK), (finding.level, output.level), script)
            self.assertIn("does no harm", finding.what)

    def test_known_event(self) -> None:
        finding, _ = check(replied(json.dumps(_INI).encode()))
        self.assertEqual(("php-script", Level.OK), brief(finding))
        self.assertNotIn("does not know", finding.what)

    def test_ini(self) -> None:
        """The values are texts. Whatever else comes is ignored."""
        known = running(replied(_BOM + json.dumps(_INI).encode()))
        self.assertEqual({"post_max_size": "8M"}, ini_in_reply(known))
        for body in (
            b"",
            b"{}",
            b"[]",
            b"{" * 10_000,
            b'{"phpgw_check": 1}',
            b'{"phpgw_check": {"ini": []}}',
        ):
            self.assertIsNone(ini_in_reply(running(replied(body))), body[:50])
        self.assertIsNone(ini_in_reply(situation()))

    def test_not_asked(self) -> None:
        levels = [finding.level for finding in check_script(situation())]
        self.assertEqual([Level.SKIPPED] * 2, levels)

    def test_refused(self) -> None:
        for status, line in (
            (405, "Route::post"),
            (413, "client_max_body_size"),
            (419, "validateCsrfTokens"),
            (500, "error_log"),
            (503, "error_log"),
        ):
            finding, _ = check(replied(b"", status))
            self.assertEqual(("php-script", Level.WRONG), brief(finding))
            self.assertIn(line, finding.fix)

    def test_needs_a_login(self) -> None:
        """That may be right: the check event has no cookies. A web server's own page is not."""
        page = b"<center><h1>Forbidden</h1></center><hr><center>nginx/1.22.1</center>"
        for status, line in ((401, "auth_basic off;"), (403, "secret-file")):
            finding, _ = check(replied(b"", status))
            self.assertEqual(("php-script", Level.WARN), brief(finding))
            self.assertIn(line, finding.fix)
            finding, _ = check(replied(page, status))
            self.assertEqual(("php-script", Level.WRONG), brief(finding))

    def test_no_script(self) -> None:
        """A web server's own page says that there is none, be it a directory or a file."""
        page = b"<center><h1>No</h1></center><hr><center>nginx/1.22.1</center>"
        for url, status in (("http://a/x", 404), ("http://a/x.html", 405), ("http://a/x/", 403)):
            finding, _ = check(replied(page, status), php_url=url)
            self.assertEqual(("php-script", Level.WRONG), brief(finding))
            self.assertTrue(finding.fix.startswith("php-url = "), finding.fix)

    def redirect(self, location: str) -> Finding:
        finding, _ = check(replied(b"", 301, location=location), php_url="http://a/b.php")
        return finding

    def test_redirect(self) -> None:
        """The line that is printed leads to where the script is."""
        for location, expected in (
            ("https://a/b.php", "https://a/b.php"),
            ("/b.php/", "http://a/b.php/"),
            ('//www.a/b.php?"', 'http://www.a/b.php?"'),
        ):
            finding = self.redirect(location)
            self.assertEqual(Level.WRONG, finding.level, location)
            self.assertEqual({"php-url": expected}, tomllib.loads(finding.fix))

    def test_redirect_elsewhere(self) -> None:
        """A login is no place for events, and what cannot be a URL of PHP is not proposed."""
        for location in ("/login", "https://a/b.php\0", "ftp://a/b.php", "http://[/b.php"):
            finding = self.redirect(location)
            self.assertEqual(Level.WARN, finding.level, location)
            self.assertNotIn("php-url", finding.fix)
        finding, _ = check(replied(b"", 302, location="/login"))
        self.assertEqual(Level.WARN, finding.level)

    def test_web_server(self) -> None:
        page = b"<center><h1>404 Not Found</h1></center><hr><center>nginx/1.22.1</center>"
        finding, _ = check(replied(page, 404), php_url="http://localhost/nothing.php")
        self.assertEqual(Level.WRONG, finding.level)
        self.assertIn("http://localhost/nothing.php", finding.what)
        finding, _ = check(replied(b"<?php echo 1;"), php_url="http://localhost/a.php")
        self.assertIn("source of the script", finding.what)

    def test_slow(self) -> None:
        finding, _ = check(replied(b"", seconds=2.5))
        self.assertEqual(Level.WARN, finding.level)

    def test_errors(self) -> None:
        for kind, line in (
            ("BackendBusy", "pm.max_children"),
            ("BackendTimeout", "session_write_close();"),
            ("BackendUnreachable", "systemctl restart"),
        ):
            finding, output = check({"path": SCRIPT, "error": {"kind": kind, "text": "x"}})
            self.assertEqual((Level.WRONG, Level.SKIPPED), (finding.level, output.level))
            self.assertIn(line, finding.fix)


class PathTests(SynchronousTestCase):
    """PHP-FPM's own replies about a script that it does not run."""

    def setUp(self) -> None:
        self.directory = short_directory(self)
        self.script = self.directory / "app" / "websocket.php"
        self.script.parent.mkdir()
        self.script.touch()

    def fix(
        self,
        path: Path,
        text: str = SCRIPT_NOT_FOUND,
        body: bytes = b"File not found.\n",
        status: int = 404,
    ) -> str:
        """The line about it, which is the same if PHP-FPM has given its reason."""
        settings = {"php_script": str(path), "php_fpm": "tcp:a:9000"}
        finding, _ = check(replied(body, status), **settings)
        self.assertEqual(("php-script", Level.WRONG), brief(finding))
        error = {"kind": "PhpErrorReported", "text": text}
        reported, _ = check({"path": str(path), "error": error}, **settings)
        self.assertEqual(finding.fix, reported.fix)
        return finding.fix

    def test_wrong_path(self) -> None:
        """It proposes the script that is there."""
        expected = f'php-script = "{self.script}"'
        self.assertEqual(expected, self.fix(self.directory / "websocket.php"))
        self.assertEqual(expected, self.fix(self.script.with_name("socket.php")))

    def test_other_scripts(self) -> None:
        """A script of quite another name is not proposed."""
        self.script.rename(self.script.with_name("admin.php"))
        fix = self.fix(self.script)
        self.assertEqual('php-script = "/srv/app/websocket.php"', fix)
        self.assertEqual(fix, self.fix(self.script.with_name("[a-z]*.php")))

    def test_hostile_paths(self) -> None:
        """The lines can be copied, whatever is in a path."""
        script = self.directory / "a $(b) 'c'" / 'd".php'
        script.parent.mkdir()
        script.touch(mode=0o600)
        self.assertEqual(["chmod", "o+r", str(script)], shlex.split(self.fix(script)))
        script.parent.chmod(0o700)
        self.assertEqual(["chmod", "o+x", str(script.parent)], shlex.split(self.fix(script)))
        line = self.fix(self.directory / script.name)
        self.assertEqual({"php-script": str(script)}, tomllib.loads(line))

    def test_closed_directory(self) -> None:
        self.script.parent.chmod(0o700)
        self.assertEqual(f"chmod o+x {self.script.parent}", self.fix(self.script))

    def test_home_of_root(self) -> None:
        """Nobody is told to open it."""
        self.patch(php_script, "_ROOTS_HOME", self.script.parent)
        self.script.parent.chmod(0o700)
        self.assertTrue(self.fix(self.script).startswith("php-script = "))

    def test_unreadable_file(self) -> None:
        self.script.chmod(0o600)
        self.assertEqual(f"chmod o+r {self.script}", self.fix(self.script))

    def test_extension(self) -> None:
        fix = self.fix(self.directory / "a.inc", SCRIPT_DENIED, b"Access denied.\n", 403)
        self.assertEqual("security.limit_extensions = .php .inc", fix)


class OutputTests(SynchronousTestCase):
    def test_bom(self) -> None:
        _, output = check(replied(_BOM))
        self.assertEqual(("php-output", Level.WRONG), brief(output))
        self.assertEqual(f"sed -i '1s/^\\xEF\\xBB\\xBF//' {SCRIPT}", output.fix)

    def test_early_output(self) -> None:
        _, output = check(replied(b"\n\n" + json.dumps(_INI).encode()))
        self.assertEqual(("php-output", Level.WRONG), brief(output))
        self.assertIn("white space", output.what)

    def test_reported(self) -> None:
        """PHP has said which file prints before header()."""
        file = Path(self.mktemp()).absolute()
        for content, expected in (
            (_BOM + b"<?php", "byte order mark"),
            (b"\n<?php", "white space"),
        ):
            file.write_bytes(content)
            warning = (
                "PHP Warning:  header(): headers already sent by (output started at "
                f"{file}:1) in /srv/b.php on line 3"
            )
            text = find_reported_error(f"PHP message: {warning}".encode())
            error = {"kind": "PhpErrorReported", "text": text}
            finding, output = check({"path": SCRIPT, "error": error})
            self.assertEqual(("php-script", Level.OK), brief(finding))
            self.assertEqual(("php-output", Level.WRONG), brief(output))
            self.assertIn(expected, output.what)

    def test_reported_pipe(self) -> None:
        """What PHP names may be a pipe, which is not read."""
        pipe = short_directory(self) / "pipe"
        os.mkfifo(pipe)
        text = f"the script cannot send headers, since {pipe}:1 had printed something before"
        error = {"kind": "PhpErrorReported", "text": text}
        _, output = check({"path": SCRIPT, "error": error})
        self.assertIn("white space", output.what)

    def test_error(self) -> None:
        _, output = check(replied(b"\nWarning: Undefined array key 1 in /srv/a.php on line 3\n"))
        self.assertEqual(("php-output", Level.WRONG), brief(output))
        self.assertIn("/srv/a.php on line 3", output.fix)

    def test_page(self) -> None:
        _, output = check(replied(b"<!DOCTYPE html><title>Shop</title>"))
        self.assertEqual(("php-output", Level.WARN), brief(output))
