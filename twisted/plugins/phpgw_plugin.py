"""The name under which ``twistd`` knows the gateway; the work is done in :mod:`phpgw.tap`."""

from twisted.application.service import ServiceMaker

phpgw = ServiceMaker("phpgw", "phpgw.tap", "A WebSocket gateway for PHP-FPM.", "phpgw")
