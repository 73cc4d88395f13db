# Each target does its own set-up; on a fresh Debian machine `make demo` is all it takes.
.PHONY: help demo test bench soak conformance lint types package

help:
	@echo "make demo     a chat in your browser (rooms, logins, a streamed story), its logic in PHP"
	@echo "make test     the whole test suite, with real PHP-FPM, Nginx and Chromium"
	@echo "make bench    speed and memory, beside the article's Go gateway where that can be built"
	@echo "make soak     minutes of mixed load, and whether memory stays flat; with a plot"
	@echo "make conformance  the Autobahn|Testsuite, all cases; needs a Python 2.7"
	@echo "make lint     ruff"
	@echo "make types    mypy"
	@echo "make package  wheel and sdist in dist/, checked"

demo:
	@scripts/setup demo
	@.venv/bin/python examples/demo/demo.py

test:
	@scripts/setup test
	.venv/bin/trial tests

bench:
	@scripts/setup bench
	.venv/bin/python -m benchmarks

soak:
	@scripts/setup bench
	.venv/bin/python -m benchmarks.soak

conformance:
	@scripts/setup conformance
	.venv/bin/python -m conformance

lint:
	@scripts/setup test
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .

types:
	@scripts/setup test
	.venv/bin/mypy

package:
	@scripts/setup test
	rm -rf dist
	.venv/bin/python -m build --outdir dist .
	.venv/bin/twine check --strict dist/*
