"""The edge to PHP: an HTTP API for code that has something to say to clients, or to ask of them."""
