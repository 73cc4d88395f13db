"""Real proxies, each with a site in which a printed configuration is used."""

import os
from pathlib import Path

from tests.support.real.process import Process, accepts, find, free_port

_APACHE_MODULES = Path("/usr/lib/apache2/modules")


class Proxy(Process):
    """A proxy on a port of its own.

    :param sample: the text that is used in its site.
    """

    def __init__(self, directory: Path, sample: str, command: list[str]) -> None:
        environment = {"HOME": str(directory), "PATH": os.environ["PATH"]}
        super().__init__(directory, command, env=environment)
        self.sample = sample
        self.port = free_port()

    @property
    def url(self) -> str:
        """Return the URL of its site."""
        return f"http://127.0.0.1:{self.port}"

    def is_ready(self) -> bool:
        return accepts(self.port)


class Caddy(Proxy):
    name = "caddy"

    def __init__(self, directory: Path, sample: str) -> None:
        program = find(["caddy"], "caddy")
        config = str(directory / "Caddyfile")
        super().__init__(
            directory, sample, [program, "run", "--adapter", "caddyfile", "--config", config]
        )

    def configure(self) -> None:
        (self.directory / "phpgw.caddy").write_text(self.sample)
        options = "{\n\tadmin off\n\tauto_https off\n}\n"
        site = f"{self.url} {{\n\timport phpgw.caddy\n\trespond 404\n}}\n"
        (self.directory / "Caddyfile").write_text(options + site)


class CaddySite(Proxy):
    """Caddy with a printed site, at these ports.

    :ivar port: that of HTTPS.
    """

    name = "caddy"

    def __init__(self, directory: Path, sample: str, http_port: int, https_port: int) -> None:
        config = directory / "Caddyfile"
        program = find(["caddy"], "caddy")
        command = [program, "run", "--adapter", "caddyfile", "--config", str(config)]
        super().__init__(directory, sample, command)
        self._http_port = http_port
        self.port = https_port

    def configure(self) -> None:
        options = f"{{\n\tadmin off\n\thttp_port {self._http_port}\n\thttps_port {self.port}\n}}\n"
        (self.directory / "Caddyfile").write_text(options + self.sample)


class Apache(Proxy):
    name = "apache2"

    def __init__(self, directory: Path, sample: str) -> None:
        program = find(["apache2"], "apache2")
        config = str(directory / "apache.conf")
        super().__init__(directory, sample, [program, "-DFOREGROUND", "-f", config])

    def configure(self) -> None:
        (self.directory / "phpgw.conf").write_text(self.sample)
        (self.directory / "apache.conf").write_text(
            apache_configuration(self.directory)
            + f"""
Listen 127.0.0.1:{self.port}
<VirtualHost 127.0.0.1:{self.port}>
    Include "{self.directory}/phpgw.conf"
</VirtualHost>
"""
        )


class ApacheSite(Apache):
    """Apache with printed virtual hosts, at these ports.

    :ivar port: that of HTTPS.
    """

    def __init__(self, directory: Path, sample: str, http_port: int, https_port: int) -> None:
        super().__init__(directory, sample)
        self._ports = {80: http_port, 443: https_port}
        self.port = https_port

    def configure(self) -> None:
        text = self.sample
        for usual, port in self._ports.items():
            text = text.replace(f"<VirtualHost *:{usual}>", f"<VirtualHost 127.0.0.1:{port}>")
            text = f"Listen 127.0.0.1:{port}\n{text}"
        own = apache_configuration(self.directory)
        (self.directory / "apache.conf").write_text(own + text)


def apache_configuration(directory: Path) -> str:
    """Return what Debian's own files have for a server: modules, and where it writes."""
    modules = (
        *("mpm_event", "authz_core", "proxy", "proxy_http", "headers", "ssl", "proxy_fcgi"),
        *("remoteip", "alias", "dir", "env"),
    )
    lines = [f"LoadModule {each}_module {_APACHE_MODULES}/mod_{each}.so" for each in modules]
    lines += [
        f'ServerRoot "{directory}"',
        "ServerName 127.0.0.1",
        f'PidFile "{directory}/apache.pid"',
        f'DefaultRuntimeDir "{directory}"',
        "ErrorLog /dev/stderr",
        "DirectoryIndex index.php",
    ]
    if os.getuid() == 0:
        # It refuses to work as root.
        lines += ["User www-data", "Group www-data"]
    return "\n".join([*lines, ""])


class HaProxy(Proxy):
    """HAProxy.

    :param use: the line of the frontend that uses the printed backend.
    """

    name = "haproxy"

    def __init__(self, directory: Path, sample: str, use: str) -> None:
        program = find(["haproxy"], "haproxy")
        super().__init__(directory, sample, [program, "-db", "-f", str(directory / "haproxy.cfg")])
        self._use = use

    def configure(self) -> None:
        (self.directory / "haproxy.cfg").write_text(f"""\
global
    log stderr format short daemon
defaults
    log global
    mode http
    timeout connect 5s
    timeout client 5s
    timeout server 5s
frontend site
    bind 127.0.0.1:{self.port}
    {self._use}
    default_backend nothing
backend nothing
    http-request deny deny_status 404
{self.sample}""")


class HaProxySite(Proxy):
    """HAProxy with a printed configuration, at these ports.

    :ivar port: that of HTTPS.
    """

    name = "haproxy"

    def __init__(self, directory: Path, sample: str, http_port: int, https_port: int) -> None:
        program = find(["haproxy"], "haproxy")
        super().__init__(directory, sample, [program, "-db", "-f", str(directory / "haproxy.cfg")])
        self._ports = {80: http_port, 443: https_port}
        self.port = https_port

    def configure(self) -> None:
        text = self.sample
        for usual, port in self._ports.items():
            text = text.replace(f"bind :{usual}", f"bind 127.0.0.1:{port}")
        (self.directory / "haproxy.cfg").write_text(text)
