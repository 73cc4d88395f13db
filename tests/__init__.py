"""The tests of phpgw, run by trial: unit tests beside end-to-end tests with real processes."""

from hypothesis import settings

# A busy machine is no reason for a test to fail.
settings.register_profile("phpgw", deadline=None)
settings.load_profile("phpgw")
