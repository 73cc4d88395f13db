"""Properties of small parsers that hold for all input."""

from hypothesis import example, given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from phpgw.process.tls import split_tls_endpoint
from phpgw.relay.php_errors import find_php_error


class ParserPropertyTests(SynchronousTestCase):
    @given(
        st.text(st.sampled_from("sl:\\=/privateKytchn.pm803 "), max_size=60), st.text(max_size=20)
    )
    @example("ssl:8443:privateKey=a\\:b.pem", "")
    @example("ssl:" + "\\" * 1000, "")
    def test_endpoints(self, text: str, more: str) -> None:
        """Either it is not TLS, and left as it is, or there is a key."""
        try:
            below, files = split_tls_endpoint(f"ssl:{text}{more}" if more else text)
        except ValueError:
            return
        if files is None:
            self.assertEqual(text, below)

    @given(st.binary())
    @example(b"<br />\n<b>Fatal error</b>:  " * 1000)
    @settings(deadline=1000)
    def test_mishaps(self, body: bytes) -> None:
        """Looking for PHP's errors is quick, and finds them only where there is one."""
        mishap = find_php_error(body)
        if mishap is not None:
            self.assertTrue(mishap.line)
