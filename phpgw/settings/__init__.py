"""The settings: the options of each section, and the rules for options that depend on others."""

from collections.abc import Mapping, Sequence

import attrs

from phpgw.settings.api import ApiSettings
from phpgw.settings.browsers import BrowserSettings
from phpgw.settings.bus import BusSettings
from phpgw.settings.failures import FailureSettings
from phpgw.settings.limits import LimitSettings
from phpgw.settings.option import Given, InvalidOption, Option, parse_given
from phpgw.settings.outgoing import OutgoingSettings
from phpgw.settings.php import PhpSettings
from phpgw.settings.pools import PoolSettings
from phpgw.settings.process import ProcessSettings
from phpgw.web.paths import RESERVED_ROOTS


@attrs.frozen(kw_only=True, slots=False)
class Settings(
    ProcessSettings,
    PoolSettings,
    BusSettings,
    OutgoingSettings,
    ApiSettings,
    LimitSettings,
    BrowserSettings,
    FailureSettings,
    PhpSettings,
):
    """The complete configuration of a gateway. An instance is always valid.

    :raises InvalidOption: if options contradict each other.
    """

    def __attrs_post_init__(self) -> None:
        self._check_upstream()
        if self.ws_path.split("/")[1] in RESERVED_ROOTS:
            raise InvalidOption(
                "ws-path", "a path that is not the API's, like /ws", repr(self.ws_path)
            )
        for endpoint in self.api_listen:
            if endpoint in self.listen:
                raise InvalidOption(
                    "api-listen", "an endpoint that --listen does not name too", repr(endpoint)
                )
        self._check_bus()
        self._check_pools()
        for option, named in (("timer", self.timer), ("upstream", self.upstream)):
            names = [each.name for each in named]
            for name in names:
                if names.count(name) > 1:
                    raise InvalidOption(option, "each name once", repr(name))
        if len(self.upstream) > self.max_upstreams:
            raise InvalidOption(
                "max-upstreams", "at least as many as --upstream names", repr(self.max_upstreams)
            )
        if self.php_max_run < self.php_timeout:
            raise InvalidOption(
                "php-max-run", "at least --php-timeout", repr(f"{self.php_max_run:g}")
            )

    def _check_bus(self) -> None:
        """Check that options of the bus stand beside one that they are for.

        :raises InvalidOption: if not.
        """
        for name in ("bus_password_file", "bus_ca_file", "bus_cert_file"):
            value = getattr(self, name)
            if value is not None and self.bus is None:
                raise _conflicting(name, value, "without --bus")
        for name in ("bus_ca_file", "bus_cert_file"):
            value = getattr(self, name)
            if value is not None and self.bus is not None and not self.bus.uses_tls:
                raise _conflicting(name, value, "without TLS (rediss://)")

    def _check_upstream(self) -> None:
        """Check that there is one upstream, and no option that belongs to another one.

        :raises InvalidOption: if not.
        """
        if self.php_url is None and self.php_script is None:
            raise InvalidOption(
                "php-script",
                "the path of your script, like /srv/app/websocket.php "
                "(or --php-url http://localhost/websocket.php)",
            )
        if self.php_url is not None:
            for name in ("php_script", "php_fpm", "php_root", "php_fpm_binary", "php_user"):
                if getattr(self, name) is not None:
                    raise _conflicting(name, getattr(self, name), "beside --php-url")
        if self.php_fpm is not None:
            for name in ("php_fpm_binary", "php_user"):
                if getattr(self, name) is not None:
                    raise _conflicting(
                        name, getattr(self, name), "beside --php-fpm, which runs already"
                    )

    @classmethod
    def from_texts(cls, texts: Mapping[str, Sequence[Given]]) -> "Settings":
        """Parse the texts of the options.

        :param texts: the texts for each option's name. An option without an entry has its default.
        :raises InvalidOption: for the first text that is invalid.
        """
        settings: dict[str, object] = {}
        is_dev = bool(texts.get("dev")) and parse_given(_DEV, texts["dev"])
        for option in OPTIONS:
            given = texts.get(option.name)
            if not given and is_dev and option.dev_default is not None:
                given = [Given(option.dev_default, "because of --dev")]
            if given:
                settings[option.name.replace("-", "_")] = parse_given(option, given)
        return cls(**settings)  # type: ignore[arg-type]


def _conflicting(field: str, value: object, where: str) -> InvalidOption:
    return InvalidOption(field.replace("_", "-"), f"nothing {where}", repr(str(value)))


OPTIONS: tuple[Option, ...] = tuple(
    field.metadata["declared"](field.name) for field in attrs.fields(Settings)
)
_DEV = next(option for option in OPTIONS if option.name == "dev")
