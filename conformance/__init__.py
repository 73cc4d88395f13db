"""Whether the gateway speaks WebSocket as RFC 6455 and RFC 7692 have it: the Autobahn|Testsuite."""
