"""The name under which ``twistd`` knows the gateway; the work is done in :mod:`phpgw.tap`."""

from twisted.application.service import ServiceMaker

phpgw = ServiceMaker(
    "phpgw",
    "phpgw.tap",
    # Also what somebody reads who has put our options before the name.
    "A WebSocket gateway for PHP-FPM. Its options come after its name: twistd phpgw --php-url ...",
    "phpgw",
)
