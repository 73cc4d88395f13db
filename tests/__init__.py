"""The tests of phpgw, run by trial: unit tests beside end-to-end tests with real processes."""
