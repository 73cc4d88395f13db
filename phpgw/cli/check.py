"""``phpgw check``: walks the whole way from browser to PHP, and explains what is wrong."""

import os
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import attrs
import click

from phpgw.checks import gateway
from phpgw.checks.finding import Finding, Level
from phpgw.checks.pools import check_pools
from phpgw.checks.public_url import PublicUrl, parse_idle, parse_page_origin, parse_public_url
from phpgw.checks.public_way import PublicWay, check_public_way
from phpgw.checks.situation import Situation
from phpgw.checks.walk import check_gateway, guarded
from phpgw.cli.api_address import URL_VARIABLE, find_api
from phpgw.cli.api_client import ApiClient
from phpgw.cli.command import Command
from phpgw.cli.errors import CommandFailed, GatewayUnreachable, InvalidUsage
from phpgw.cli.finding_view import print_finding, print_summary
from phpgw.cli.output import json_option, print_json
from phpgw.cli.parsed_value import ParsedValue
from phpgw.cli.setting_options import given_texts, setting_options
from phpgw.process.machine_id import machine_id
from phpgw.settings import Settings
from phpgw.settings.as_json import settings_as_json
from phpgw.settings.option import Given, InvalidOption
from phpgw.settings.sources import BY_NAME, CONFIG, combine, with_usual_file

# The help of phpgw serve has the others.
_SHOWN_OPTIONS = ("config", "api-token-file")
_DEFAULT_SOURCE = "environment and command line"


@attrs.frozen(kw_only=True)
class CheckRequest:
    """The subjects of one check.

    :ivar asks_script: whether PHP gets a check event.
    :ivar url: the URL that pages connect to; ``None`` to leave the public way out.
    :ivar origin: the origin of these pages.
    :ivar idle: seconds for which a silent connection has to last; 0 not to try.
    """

    asks_script: bool
    url: PublicUrl | None
    origin: str
    idle: float


@attrs.frozen
class ApiAnnouncer:
    """Announces handshakes to the gateway that was found.

    :ivar is_there: whether there is one.
    """

    api: ApiClient
    is_there: bool

    def expect(self, idle: float) -> str | None:
        """See :class:`phpgw.checks.public_way.Announcer`."""
        if not self.is_there:
            return None
        report = self.api.check(asks_script=False, wants_token=True, idle=idle)
        return str(report["token"])

    def report(self, token: str) -> Mapping[str, Any] | None:
        """See :class:`phpgw.checks.public_way.Announcer`."""
        return self.api.checked_handshake(token)


class _Checkup:
    """A run of the command: finds the gateway, and yields findings.

    :ivar is_unreachable: whether there was no gateway.
    """

    def __init__(
        self, given: Mapping[str, Sequence[Given]], api: ApiClient, request: CheckRequest
    ) -> None:
        self.is_unreachable = False
        self._api = api
        self._request = request
        files = given.get(CONFIG.name) or ()
        self._source = files[-1].text if files else _configured_file()
        self._settings = _read_settings(given)

    def findings(self) -> Iterator[Finding]:
        """Yield the findings, one after another."""
        report = None
        try:
            report = self._api.check(asks_script=self._request.asks_script, wants_token=False)
        except GatewayUnreachable as error:
            self.is_unreachable = True
            problem = gateway.unreachable(error.message)
        except CommandFailed as error:
            problem = gateway.refused(error.message)
        if report is not None:
            yield from self._check_running(report)
            yield from self._check_public_way(report["settings"], is_there=True)
            return
        if self._settings is not None:
            yield gateway.configured(self._source)
        yield problem
        if self._settings is not None and self.is_unreachable:
            yield from check_gateway(Situation.from_settings(self._settings, self._source))
        settings = self._settings or Settings(php_script="/")
        yield from self._check_public_way(settings_as_json(settings), is_there=False)

    def _check_public_way(
        self, settings: Mapping[str, Any], *, is_there: bool
    ) -> Iterator[Finding]:
        """Yield what is found on the public way, if it is asked for.

        :param settings: those of the gateway; the usual ones if they are not known.
        """
        request = self._request
        if request.url is not None:
            way = PublicWay(
                url=request.url, origin=request.origin, idle=request.idle, settings=settings
            )
            announcer = ApiAnnouncer(self._api, is_there)
            yield from guarded("public way", partial(check_public_way, way, announcer))

    def _check_running(self, report: Mapping[str, Any]) -> Iterator[Finding]:
        is_here = bool(machine_id()) and report["machine"] == machine_id()
        situation = Situation.from_report(report, self._source, is_here=is_here)
        if self._settings is None:
            yield gateway.not_configured()
        else:
            configured = settings_as_json(self._settings)
            yield gateway.compared(self._source, configured, situation.settings)
        yield gateway.reached(str(self._api.address), report)
        yield from check_gateway(situation)
        yield from guarded("pools", lambda: check_pools(self._api.pools()))


def _configured_file() -> str:
    return os.environ.get(CONFIG.environment_name) or _DEFAULT_SOURCE


def _read_settings(given: Mapping[str, Sequence[Given]]) -> Settings | None:
    """Return the settings; ``None`` if they do not say where PHP is, as without a configuration.

    :raises InvalidOption: if they are invalid.
    """
    texts = combine(given, os.environ)
    try:
        return Settings.from_texts(texts)
    except InvalidOption as error:
        if error.given is None and not any(name.startswith("php-") for name in texts):
            return None
        raise


def _check(
    api: str | None,
    url: PublicUrl | None,
    origin: str | None,
    idle: float,
    script: bool,
    as_json: bool,
    strict: bool,
    **parameters: Any,
) -> int:
    """Check, and print the findings.

    :returns: the exit status.
    """
    given: Mapping[str, Sequence[Given]] = given_texts(parameters)
    access = find_api(given, os.environ, api)
    if api is None and not os.environ.get(URL_VARIABLE):
        given = with_usual_file(given, os.environ)
    exchange = click.get_current_context().obj
    if url is None and (origin is not None or idle):
        raise InvalidUsage("--url is missing: --origin and --idle are about the public way")
    own_origin = "" if url is None else url.origin
    request = CheckRequest(asks_script=script, url=url, origin=origin or own_origin, idle=idle)
    checkup = _Checkup(given, ApiClient(access, exchange), request)
    findings = []
    for finding in checkup.findings():
        findings.append(finding)
        if not as_json:
            print_finding(finding)
    status = _exit_status(findings, strict, checkup.is_unreachable)
    if as_json:
        print_json({"status": status, "findings": [finding.as_json() for finding in findings]})
    else:
        print_summary(findings)
    return status


def _exit_status(findings: Sequence[Finding], strict: bool, is_unreachable: bool) -> int:
    """Return the exit status: 1 if something is wrong; 3 if that is only a missing gateway."""
    failing = {Level.WRONG, Level.WARN} if strict else {Level.WRONG}
    failed = [finding for finding in findings if finding.level in failing]
    if is_unreachable and [each.id for each in failed] == [gateway.GATEWAY.id]:
        return GatewayUnreachable.exit_code
    return 1 if failed else 0


command: click.Command = Command(
    "check",
    callback=_check,
    params=[
        click.Option(
            ["--api"],
            metavar="URL",
            help="Where the API is: http://HOST:PORT, https://HOST:PORT or unix:/PATH. "
            "Default: as the configuration says.",
        ),
        click.Option(
            ["--url"],
            metavar="URL",
            type=ParsedValue(parse_public_url),
            help="Check the public way, too: the URL that pages connect to, like "
            "wss://example.com/ws.",
        ),
        click.Option(
            ["--origin"],
            metavar="ORIGIN",
            type=ParsedValue(parse_page_origin),
            help="The origin of these pages, like https://www.example.com. Default: that of --url.",
        ),
        click.Option(
            ["--idle"],
            metavar="TIME",
            type=ParsedValue(parse_idle),
            default=0.0,
            help="Wait for so long whether something cuts a silent connection, like 2m.",
        ),
        click.Option(
            ["--script/--no-script"],
            default=True,
            help="Whether the script gets a check event. Default: --script.",
        ),
        click.Option(["--strict"], is_flag=True, help="Let warnings count for the exit status."),
        json_option(),
        *setting_options(BY_NAME[name] for name in _SHOWN_OPTIONS),
        *setting_options(
            (each for each in BY_NAME.values() if each.name not in _SHOWN_OPTIONS), hidden=True
        ),
    ],
    help="Check the whole way from browser to PHP, and say what is wrong, why, and the line to "
    "change. It takes all options of phpgw serve, too. The exit status is 1 if something is "
    "wrong, and 3 if there is no gateway.",
    short_help="Find out what is wrong, and how to fix it.",
    examples="""\
phpgw check --config /etc/phpgw.toml
phpgw check --config /etc/phpgw.toml --url wss://example.com/ws
phpgw check --json | jq '.findings[] | select(.level == "wrong")'""",
)
