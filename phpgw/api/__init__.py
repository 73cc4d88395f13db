"""The edge to PHP's pushes: an HTTP API for code that has something to say to a client."""
