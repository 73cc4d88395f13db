"""``phpgw nginx``: a configuration of Nginx."""

from phpgw.cli.site_command import SiteCommand
from phpgw.samples.nginx import make_location, make_site

command = SiteCommand(
    "nginx",
    "Nginx",
    make_location,
    make_site,
    examples="""\
phpgw nginx --config /etc/phpgw.toml > /etc/nginx/snippets/phpgw.conf
phpgw nginx --server-name example.com > /etc/nginx/conf.d/phpgw.conf""",
)
