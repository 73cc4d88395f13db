"""The pools for HTTP APIs: ``https://``.

PHP speaks plain HTTP/1.1 to a socket of this machine, and the pool speaks HTTP/1.1 over TLS to the
API, over connections that outlive PHP's requests.
"""
