"""The findings of ``phpgw check``: each is explained in the documentation, and no other."""

import re
from importlib import import_module
from pkgutil import iter_modules

from twisted.trial.unittest import SynchronousTestCase

import phpgw.checks
from phpgw.checks.finding import DOCS, Subject
from tests.support.real.gateway import ROOT


def subjects() -> set[Subject]:
    """Return the subjects of all probes."""
    modules = [
        import_module(f"phpgw.checks.{each.name}") for each in iter_modules(phpgw.checks.__path__)
    ]
    return {
        value for module in modules for value in vars(module).values() if isinstance(value, Subject)
    }


class FindingTests(SynchronousTestCase):
    def test_documented(self) -> None:
        headings = re.findall(r"^([a-z-]+)\n~+$", (ROOT / DOCS).read_text(), re.MULTILINE)
        self.assertEqual(sorted(subject.id for subject in subjects()), sorted(headings))

    def test_leads_there(self) -> None:
        """Who looks for the cause of trouble is sent to the command."""
        for page in ("docs/troubleshooting.rst", "README.rst"):
            self.assertIn("phpgw check", (ROOT / page).read_text())
