"""Sites of one Nginx in front of a gateway, each with a mistake that a printed line corrects."""

import re
from collections.abc import Mapping

from tests.support.real.process import free_port

# The directives of a right location, with the gateway's port.
RIGHT = {
    "location": "= /ws",
    "proxy_pass": "http://127.0.0.1:{port}",
    "proxy_http_version": "1.1",
    "proxy_set_header Upgrade": "$http_upgrade",
    "proxy_set_header Connection": '"upgrade"',
    "proxy_set_header Host": "$host",
    "proxy_set_header X-Forwarded-For": "$remote_addr",
    "proxy_set_header X-Forwarded-Proto": "$scheme",
}
_LOCATION = re.compile(r"location (= \S+) \{(.*?)\}?$")
_DIRECTIVE = re.compile(r"(proxy_set_header \S+|\w+) ([^;]+);")
# What belongs to the server, and not to the location.
_OF_SERVER = ("listen", "ssl_certificate", "ssl_certificate_key", "location", "root")


class ProxiedSite:
    """A server of Nginx.

    :param gateway: the gateway's port.
    :param changes: directives in place of right ones; ``None`` for none.
    :ivar port: where it listens.
    """

    def __init__(self, gateway: int, changes: Mapping[str, str | None], listen: str = "") -> None:
        self.port = free_port()
        self._directives = {
            "listen": f"{self.port}{listen}",
            **{name: value.format(port=gateway) for name, value in RIGHT.items()},
        }
        for name, value in changes.items():
            if value is None:
                del self._directives[name]
            else:
                self._directives[name] = value.format(port=gateway)

    def apply(self, line: str) -> None:
        """Write a line in place of the one that is there."""
        location = _LOCATION.fullmatch(line)
        if location is not None:
            self._directives["location"] = location[1]
            line = location[2]
        found = _DIRECTIVE.findall(line)
        assert found or location, line
        for name, value in found:
            # "allow all" and "deny all" are for the same thing.
            self._directives.pop("deny", None) if name == "allow" else None
            self._directives[name] = value

    def __str__(self) -> str:
        def lines(is_of_server: bool) -> str:
            return "\n".join(
                f"        {name} {value};"
                for name, value in self._directives.items()
                if (name in _OF_SERVER) == is_of_server and name != "location"
            )

        location = f"location {self._directives['location']} {{\n{lines(False)}\n    }}"
        return f"server {{\n{lines(True)}\n    {location}\n}}\n"
