"""WebSocket connections of browsers: RFC 6455."""
