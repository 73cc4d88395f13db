"""The backend for PHP behind a web server, over HTTP."""
