"""A real Nginx in front of PHP-FPM."""

import os
import signal
from pathlib import Path

from tests.support.certificate import Certificate, make_certificate
from tests.support.real.php_fpm import PhpFpm
from tests.support.real.process import Process, accepts, find, free_port, wait_until

_TEMPORARY = ("client_body", "fastcgi", "proxy", "scgi", "uwsgi")


class Nginx(Process):
    """An Nginx with one worker, which serves a document root and hands ``.php`` to PHP-FPM.

    :param php_fpm: where PHP runs.
    :param tls: speak HTTPS alone, under :ivar:`certificate`.
    :ivar http: more directives of ``http {}``; may be changed before a reload.
    :ivar server: more directives of ``server {}``; likewise.
    :ivar extra_servers: whole ``server {}`` blocks beside ours; likewise.
    :ivar certificate: what to trust, with ``tls``.
    :ivar url: ``http://127.0.0.1:PORT``, or ``https``.
    """

    name = "nginx"

    def __init__(
        self,
        directory: Path,
        php_fpm: PhpFpm,
        document_root: Path,
        *,
        http: str = "",
        server: str = "",
        extra_servers: str = "",
        tls: bool = False,
    ) -> None:
        self._configuration = directory / "nginx.conf"
        program = find(["nginx"], "nginx-light")
        super().__init__(
            directory,
            # -e: or it would open the log of the system's own Nginx before it reads ours.
            [program, "-e", "stderr", "-p", str(directory), "-c", str(self._configuration)],
        )
        self.http = http
        self.server = server
        self.extra_servers = extra_servers
        self.document_root = document_root
        self.port = free_port()
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self.port}"
        self.certificate: Certificate | None = None
        self._tls = tls
        self._php_fpm = php_fpm

    def configure(self) -> None:
        if self._tls and self.certificate is None:
            self.certificate = make_certificate(self.directory)
        self._configuration.write_text(self._text())

    def is_ready(self) -> bool:
        # It listens a moment before it has a worker.
        return bool(self.children()) and accepts(self.port)

    def reload(self) -> None:
        """Write the configuration again, have it read, and wait until it alone is in force."""
        before = set(self.children())
        self.configure()
        self.signal(signal.SIGHUP)

        def is_in_force() -> bool:
            # For a moment old and new workers accept side by side.
            now = set(self.children())
            return bool(now - before) and all(map(_is_leaving, now & before))

        try:
            wait_until(is_in_force, self.start_timeout, "new workers of nginx")
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.log}") from None

    @property
    def access_log(self) -> str:
        """The requests so far, in Nginx's combined format. It writes a line after its answer."""
        return (self.directory / "access.log").read_text(errors="replace")

    def _text(self) -> str:
        # The workers share a private directory with the other processes of the test.
        user = "user root root;" if os.getuid() == 0 else ""
        temporary = "\n".join(
            f'    {name}_temp_path "{self.directory / name}";' for name in _TEMPORARY
        )
        tls = ""
        if self.certificate is not None:
            tls = (
                f'ssl_certificate "{self.certificate.path}"; '
                f'ssl_certificate_key "{self.certificate.key_path}";'
            )
        return f"""\
{user}
daemon off;
worker_processes 1;
pid "{self.directory / "nginx.pid"}";
error_log stderr notice;
events {{ worker_connections 4096; }}
http {{
    access_log "{self.directory / "access.log"}";
{temporary}
    types {{
        text/html html;
        text/css css;
        text/javascript js;
        image/svg+xml svg;
    }}
    {self.http}
    server {{
        listen 127.0.0.1:{self.port}{" ssl" if self._tls else ""};
        {tls}
        root "{self.document_root}";
        index index.html index.php;
        {self.server}
        location ~ \\.php$ {{
            try_files $uri =404;
            fastcgi_pass "{self._php_fpm.fastcgi_pass}";
            fastcgi_param SCRIPT_FILENAME $document_root$fastcgi_script_name;
            fastcgi_param QUERY_STRING $query_string;
            fastcgi_param REQUEST_METHOD $request_method;
            fastcgi_param CONTENT_TYPE $content_type;
            fastcgi_param CONTENT_LENGTH $content_length;
            fastcgi_param SCRIPT_NAME $fastcgi_script_name;
            fastcgi_param REQUEST_URI $request_uri;
            fastcgi_param DOCUMENT_URI $document_uri;
            fastcgi_param DOCUMENT_ROOT $document_root;
            fastcgi_param SERVER_PROTOCOL $server_protocol;
            fastcgi_param REQUEST_SCHEME $scheme;
            fastcgi_param HTTPS $https if_not_empty;
            fastcgi_param GATEWAY_INTERFACE CGI/1.1;
            fastcgi_param SERVER_SOFTWARE nginx/$nginx_version;
            fastcgi_param REMOTE_ADDR $remote_addr;
            fastcgi_param REMOTE_PORT $remote_port;
            fastcgi_param SERVER_ADDR $server_addr;
            fastcgi_param SERVER_PORT $server_port;
            fastcgi_param SERVER_NAME $server_name;
            fastcgi_param REDIRECT_STATUS 200;
        }}
    }}
    {self.extra_servers}
}}
"""


def _is_leaving(worker: int) -> bool:
    try:
        title = Path(f"/proc/{worker}/cmdline").read_bytes()
    except OSError:
        return True
    return b"shutting down" in title
