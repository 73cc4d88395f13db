"""``phpgw caddy``: a configuration of Caddy."""

from phpgw.cli.site_command import SiteCommand
from phpgw.samples.caddy import make_part, make_site

command = SiteCommand(
    "caddy",
    "Caddy",
    make_part,
    make_site,
    examples="""\
phpgw caddy --config /etc/phpgw.toml > /etc/caddy/phpgw.caddy
phpgw caddy --server-name example.com > /etc/caddy/Caddyfile""",
)
