"""PHP behind a web server, over HTTP."""
