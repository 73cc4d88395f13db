"""Builds the Debian package and the image, and tries them: ``make deb``, ``make image``.

Everything here needs root, and runs in mount and process namespaces of its own (see the Makefile):
what is mounted or started goes with them. ``make test-packages`` runs the tests.
"""
