"""The checkout works as it is, beside an installed Twisted."""

from pathlib import Path

from twisted.application.service import IServiceMaker
from twisted.plugin import getPlugins
from twisted.trial.unittest import SynchronousTestCase

ROOT = Path(__file__).resolve().parents[2]
# With either of these, the checkout or the package would hide Twisted itself.
FORBIDDEN = ("twisted/__init__.py", "twisted/plugins/__init__.py")


class CheckoutTests(SynchronousTestCase):
    def test_twisted_is_not_hidden(self) -> None:
        for name in FORBIDDEN:
            self.assertFalse((ROOT / name).exists(), name)

    def test_plugin(self) -> None:
        """twistd knows the gateway by its name."""
        [plugin] = [each for each in getPlugins(IServiceMaker) if each.tapname == "phpgw"]
        self.assertIn("A WebSocket gateway for PHP-FPM.", plugin.description)
