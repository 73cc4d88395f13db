"""``phpgw console``: a link to the web console."""

import click

from phpgw.cli.api_address import TcpAddress
from phpgw.cli.api_client import ApiClient
from phpgw.cli.api_command import ApiCommand
from phpgw.cli.errors import InvalidUsage
from phpgw.cli.output import json_option, note, print_json, write
from phpgw.escape import printable
from phpgw.settings import parsers


def _console(api: ApiClient, public_url: str | None, as_json: bool) -> None:
    base = _base(api, public_url)
    issued = api.post("console", "code", fields=("code", "seconds"))
    # In the fragment, so that no proxy has the code in its log.
    url = f"{base}/console#{issued['code']}"
    if as_json:
        print_json({"url": url, "seconds": issued["seconds"]})
    else:
        write(printable(url))
        note(f"Open it within {issued['seconds']} seconds. It works once.")


def _base(api: ApiClient, public_url: str | None) -> str:
    """Return the URL at which a browser finds the gateway, without a slash at its end.

    :raises InvalidUsage: if a browser finds it nowhere.
    """
    if public_url is not None:
        try:
            return parsers.http_url(public_url).partition("?")[0].rstrip("/")
        except ValueError:
            raise InvalidUsage(
                f"--public-url: got {public_url!r}; expected http://HOST:PORT or https://HOST"
            ) from None
    if isinstance(api.address, TcpAddress):
        return str(api.address)
    raise InvalidUsage(
        f"the API is at {api.address}, and browsers open no UNIX sockets: forward a port to it, "
        f"ssh -L 8081:{api.address.path} HOST, and name that: --public-url http://localhost:8081"
    )


command: click.Command = ApiCommand(
    "console",
    callback=_console,
    params=[
        click.Option(
            ["--public-url"],
            metavar="URL",
            help="Where your browser finds the API, if not where this command does: behind a "
            "proxy, or through a tunnel.",
        ),
        json_option(),
    ],
    help="Print a link to the web console. It works once, within 60 seconds; your browser is then "
    "logged in for 12 hours.",
    short_help="Print a link to the web console.",
    examples="""\
phpgw console
phpgw console --config /etc/phpgw.toml --public-url http://localhost:8081""",
)
