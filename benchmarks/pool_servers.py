"""The servers behind the pools, each with TLS, and what else can keep connections to them."""

from pathlib import Path
from typing import TypeVar

from benchmarks.contest import Unmeasured
from benchmarks.stage import Stage
from tests.support.certificate import Certificate
from tests.support.real.process import MissingProgram, Process, accepts, find, free_port

_API = """
daemon off;
worker_processes 1;
error_log stderr;
pid {directory}/nginx.pid;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    {paths}
    {server}
}}
"""
_TLS_SERVER = """
    server {{
        listen 127.0.0.1:{port} ssl backlog=4096;
        ssl_protocols TLSv1.2 TLSv1.3;
        ssl_certificate {certificate};
        ssl_certificate_key {key};
        keepalive_requests 1000000000;
        keepalive_timeout 300s;
        location / {{ default_type application/json; return 200 '{{"ok":true}}'; }}
    }}
"""
_KEEPING = """
    upstream api {{ server 127.0.0.1:{port}; keepalive 32; keepalive_requests 1000000000; }}
    server {{
        listen unix:{socket};
        location / {{
            proxy_pass https://api;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_ssl_name localhost;
            proxy_ssl_server_name on;
            proxy_ssl_verify on;
            proxy_ssl_trusted_certificate {certificate};
        }}
    }}
"""
_TEMPORARY = ("client_body", "fastcgi", "proxy", "scgi", "uwsgi")


class _BareNginx(Process):
    """An Nginx with one worker and one server."""

    name = "bare-nginx"

    def __init__(self, directory: Path, server: str) -> None:
        self._configuration = directory / "nginx.conf"
        paths = " ".join(f"{name}_temp_path {directory};" for name in _TEMPORARY)
        self._text = _API.format(directory=directory, paths=paths, server=server)
        program = find(["nginx"], "nginx-light")
        super().__init__(
            directory,
            [program, "-e", "stderr", "-p", str(directory), "-c", str(self._configuration)],
        )

    def configure(self) -> None:
        self._configuration.write_text(self._text)

    def is_ready(self) -> bool:
        return bool(self.children())


class Api(_BareNginx):
    """An HTTP API that answers at once.

    :ivar port: where it speaks TLS.
    """

    def __init__(self, directory: Path, certificate: Certificate) -> None:
        self.port = free_port()
        server = _TLS_SERVER.format(
            port=self.port, certificate=certificate.path, key=certificate.key_path
        )
        super().__init__(directory, server)

    def is_ready(self) -> bool:
        return super().is_ready() and accepts(self.port)


class KeepingNginx(_BareNginx):
    """An Nginx that keeps connections to an API.

    :ivar socket: where PHP reaches it.
    """

    def __init__(self, directory: Path, port: int, certificate: Certificate) -> None:
        self.socket = directory / "api.sock"
        server = _KEEPING.format(port=port, socket=self.socket, certificate=certificate.path)
        super().__init__(directory, server)

    def is_ready(self) -> bool:
        if super().is_ready() and self.socket.exists():
            # PHP-FPM may run as another user.
            self.socket.chmod(0o666)
            return True
        return False


P = TypeVar("P", bound=Process)


def started(stage: Stage, process: P) -> P:
    """Start a server, to be stopped at the end.

    :raises Unmeasured: if it does not start.
    """
    stage.exits.callback(process.stop)
    try:
        process.start()
    except (AssertionError, MissingProgram) as error:
        raise Unmeasured(str(error).splitlines()[0]) from error
    return process
