"""The web console: a page for the gateway's administrator."""
