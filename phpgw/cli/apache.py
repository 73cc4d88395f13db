"""``phpgw apache``: a configuration of Apache."""

from phpgw.cli.site_command import SiteCommand
from phpgw.samples.apache import make_part, make_site

command = SiteCommand(
    "apache",
    "Apache",
    make_part,
    make_site,
    examples="""\
phpgw apache --config /etc/phpgw.toml > /etc/apache2/phpgw.conf
phpgw apache --server-name example.com > /etc/apache2/sites-available/phpgw.conf""",
)
