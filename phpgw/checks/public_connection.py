"""The first steps of the public way: the name, the port, and TLS."""

import socket
import ssl
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

import attrs

from phpgw.checks.addresses import HostPort
from phpgw.checks.connection_attempt import Refused, connect
from phpgw.checks.finding import Finding, Subject
from phpgw.checks.public_url import PublicUrl
from phpgw.web.host import refers_to_this_machine

PUBLIC_NAME = Subject("public-name")
PUBLIC_PORT = Subject("public-port")
PUBLIC_TLS = Subject("public-tls")
_TIMEOUT = 5.0
_MIN_DAYS = 14
_MAX_ADDRESSES = 8
_NO_BROWSER = "No browser can connect."
# OpenSSL's numbers of what is wrong with a certificate: x509_vfy.h.
_EXPIRED, _NOT_YET, _SELF_SIGNED = 10, 9, 18
_WRONG_NAME = frozenset((62, 64))
_INCOMPLETE = frozenset((2, 20, 21))
_NOT_TLS = (
    "WRONG_VERSION_NUMBER",
    "HTTP_REQUEST",
    "RECORD_LAYER_FAILURE",
    "PACKET_LENGTH_TOO_LONG",
)


@attrs.define
class PublicConnections:
    """Opens connections by the public way.

    :ivar is_verified: whether the certificate is right; if not, the way is followed anyway.
    """

    url: PublicUrl
    is_verified: bool = True

    def open(self) -> socket.socket:
        """Return a new connection.

        :raises OSError: if there is none.
        """
        plain = socket.create_connection((self.url.host, self.url.port), _TIMEOUT)
        plain.settimeout(_TIMEOUT)
        if not self.url.is_secure:
            return plain
        try:
            return _context(self.is_verified).wrap_socket(plain, server_hostname=self.url.host)
        except BaseException:
            plain.close()
            raise


def check_connection(url: PublicUrl) -> Iterator[Finding | PublicConnections]:
    """Yield whether the name, the port and TLS are right; and then what opens connections.

    The last of these is missing if there is no way to go on.
    """
    try:
        found = socket.getaddrinfo(url.host, url.port, type=socket.SOCK_STREAM)
    except (socket.gaierror, UnicodeError) as error:
        yield _no_name(url, error)
        return
    # A name may have thousands of addresses, and each attempt takes some seconds.
    addresses = [*dict.fromkeys(str(address[4][0]) for address in found)][:_MAX_ADDRESSES]
    yield PUBLIC_NAME.ok(f"{url.host} is {', '.join(addresses)}")
    finding, is_open = _check_port(url, addresses)
    yield finding
    if not is_open:
        return
    if not url.is_secure:
        yield _without_tls(url)
        yield PublicConnections(url)
        return
    yield from _check_tls(url)


def _no_name(url: PublicUrl, error: Exception) -> Finding:
    reason = getattr(error, "strerror", None) or str(error)
    if getattr(error, "errno", None) == socket.EAI_AGAIN:
        return PUBLIC_NAME.wrong(
            f"No name server has answered for {url.host}",
            why="This machine cannot look up names. Browsers may be able to.",
            fix="nameserver 9.9.9.9",
            where="/etc/resolv.conf, with a name server that answers; or run this elsewhere",
            seen=reason,
        )
    return PUBLIC_NAME.wrong(
        f"There is no address for {url.host}",
        why=_NO_BROWSER,
        fix=f"{url.host}. IN A 203.0.113.1",
        where="the DNS zone, with the address of your server; or the name in the URL is wrong",
        seen=reason,
    )


def _check_port(url: PublicUrl, addresses: list[str]) -> tuple[Finding, bool]:
    """Return whether each address can be connected to, and whether one can."""
    refused: dict[str, Refused] = {}
    for address in addresses:
        attempt = connect(HostPort(address, url.port), _TIMEOUT)
        if isinstance(attempt, Refused):
            refused[address] = attempt
        else:
            attempt.close()
    seen = "; ".join(f"{address}: {each.text}" for address, each in refused.items())
    if not refused:
        return PUBLIC_PORT.ok(f"Port {url.port} is open"), True
    if len(refused) < len(addresses):
        return (
            PUBLIC_PORT.warn(
                f"Port {url.port} is not open on all addresses of {url.host}",
                why="Browsers try them one after another, and connect late.",
                fix=f"listen [::]:{url.port};",
                where="the proxy's configuration; or remove the address from the DNS zone",
                seen=seen,
            ),
            True,
        )
    return _closed_port(url, {each.kind for each in refused.values()}, seen), False


def _closed_port(url: PublicUrl, kinds: set[str], seen: str) -> Finding:
    if kinds == {"refused"}:
        return PUBLIC_PORT.wrong(
            f"Nobody listens on port {url.port} of {url.host} (connection refused)",
            why=_NO_BROWSER,
            fix=f"listen {url.port}{' ssl' if url.is_secure else ''};",
            where="the proxy's configuration (and start it), or the port in the URL is wrong",
            seen=seen,
        )
    what = "does not answer (timeout)" if "timeout" in kinds else "cannot be reached"
    return PUBLIC_PORT.wrong(
        f"Port {url.port} of {url.host} {what}",
        why=f"{_NO_BROWSER} A firewall drops it, or the machine is off. Networks of companies "
        "often let 443 alone through.",
        fix=f"ufw allow {url.port}/tcp",
        where="the firewall of the server and of its provider; or use port 443",
        seen=seen,
    )


def _without_tls(url: PublicUrl) -> Finding:
    if refers_to_this_machine(url.host):
        return PUBLIC_TLS.ok("The URL is without TLS, on this machine alone")
    return PUBLIC_TLS.warn(
        "The URL is without TLS",
        why="Pages with https: may not connect to it, and others can read the messages.",
        fix=f"new WebSocket('{attrs.evolve(url, scheme='wss', port=443)}')",
        where="the page; the proxy needs a certificate",
    )


def _context(is_verified: bool) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if not is_verified:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["http/1.1"])
    return context


def _check_tls(url: PublicUrl) -> Iterator[Finding | PublicConnections]:
    connections = PublicConnections(url)
    try:
        with connections.open() as connection:
            assert isinstance(connection, ssl.SSLSocket)
            yield _check_expiry(connection.getpeercert() or {})
    except ssl.SSLCertVerificationError as error:
        yield _wrong_certificate(url, error.verify_code, error.verify_message)
        connections.is_verified = False
    except OSError as error:
        yield _no_tls(url, error)
        return
    yield connections


def _check_expiry(certificate: Mapping[str, object]) -> Finding:
    text = str(certificate.get("notAfter", ""))
    until = datetime.fromtimestamp(ssl.cert_time_to_seconds(text), UTC)
    days = (until - datetime.now(UTC)).days
    if days < _MIN_DAYS:
        return PUBLIC_TLS.warn(
            f"The certificate is valid for {days} more days",
            why="Browsers refuse an expired certificate.",
            fix="certbot renew",
            where="a shell, as root; and reload the proxy",
            seen=f"notAfter={text}",
        )
    return PUBLIC_TLS.ok(f"The certificate is valid until {until:%Y-%m-%d}")


def _wrong_certificate(url: PublicUrl, code: int, text: str) -> Finding:
    files = f"ssl_certificate /etc/letsencrypt/live/{url.host}/fullchain.pem;"
    proxy = "the proxy's configuration"
    why = "Browsers refuse the connection, and do not ask the visitor as they do for pages."
    if code in _WRONG_NAME:
        return PUBLIC_TLS.wrong(
            f"The certificate is for another name than {url.host}",
            why=why,
            fix=f"certbot certonly --nginx -d {url.host}",
            where=f"a shell, as root; then {files}",
            seen=text,
        )
    if code in (_EXPIRED, _NOT_YET):
        what = "has expired" if code == _EXPIRED else "is not valid yet"
        return PUBLIC_TLS.wrong(
            f"The certificate {what}",
            why=why,
            fix="certbot renew",
            where="a shell, as root; and reload the proxy. Are the clocks right?",
            seen=text,
        )
    if code in _INCOMPLETE:
        return PUBLIC_TLS.wrong(
            "The certificate's chain is incomplete, or its authority is unknown here",
            why=f"{why} Browsers that know the missing certificate connect, others do not.",
            fix=files,
            where=f"{proxy}: the file with the intermediate certificates, in place of cert.pem",
            seen=text,
        )
    what = "is self-signed" if code == _SELF_SIGNED else "is not trusted"
    return PUBLIC_TLS.wrong(
        f"The certificate {what}",
        why=why,
        fix=files,
        where=f"{proxy}: a certificate of an authority that browsers know",
        seen=text,
    )


def _no_tls(url: PublicUrl, error: OSError) -> Finding:
    reason = getattr(error, "reason", None) or error.strerror or str(error)
    if any(name in str(error) or name == reason for name in _NOT_TLS):
        return PUBLIC_TLS.wrong(
            f"Port {url.port} does not speak TLS",
            why=_NO_BROWSER,
            fix=f"listen {url.port} ssl;",
            where="the proxy's configuration, with ssl_certificate and ssl_certificate_key",
            seen=reason,
        )
    return PUBLIC_TLS.wrong(
        f"There is no TLS connection to {url.netloc}",
        why=_NO_BROWSER,
        fix="ssl_protocols TLSv1.2 TLSv1.3;",
        where="the proxy's configuration; without proxy_protocol, unless a load balancer sends it",
        seen=reason,
    )
