# Each target does its own set-up; on a fresh Debian machine `make demo` is all it takes.
.PHONY: help demo check test unit test-latest pythons coverage costs bench soak soak-cluster trials conformance lint types package deb \
	image test-packages

# Most tests of real processes wait most of the time, so that a core takes more than one.
CORES := $(shell nproc)
JOBS ?= $(shell expr 1 + $(CORES))

help:
	@echo "make demo     a chat in your browser (rooms, logins, a streamed story), its logic in PHP;"
	@echo "              WORKERS=2 runs the gateway as two processes"
	@echo "make check    lint, types and unit tests: under a minute, without PHP, Nginx or Chromium"
	@echo "make test     the whole test suite, with real PHP-FPM, Nginx and Chromium"
	@echo "make coverage branch coverage of phpgw/ by the unit tests, and whether it is enough"
	@echo "make test-latest  unit tests and types with the newest Twisted, Autobahn and treq"
	@echo "make pythons  unit tests with each Python that is found, and the lowest dependencies"
	@echo "make costs    count what a message costs, in calls; see CONTRIBUTING.rst"
	@echo "make bench    speed and memory, beside the article's Go gateway, Nchan and Pushpin"
	@echo "make soak     minutes of mixed load, and whether memory stays flat; with a plot"
	@echo "make soak-cluster  three gateways, with what fails in turn: a node, a worker, Redis"
	@echo "make trials   faults of Redis, network and nodes while each push is accounted for"
	@echo "make conformance  the Autobahn|Testsuite, all cases; needs a Python 2.7"
	@echo "make lint     ruff"
	@echo "make types    mypy"
	@echo "make package  wheel and sdist in dist/, checked"
	@echo "make deb      a Debian package in dist/; RELEASE=trixie for another release than bookworm"
	@echo "make image    a container image in dist/, without a daemon or a registry"
	@echo "make test-packages  both, installed, run and removed"

WORKERS ?= 1

demo:
	@scripts/setup $(if $(filter-out 1,$(WORKERS)),demo-workers,demo)
	@.venv/bin/python examples/demo/demo.py --workers $(WORKERS)

check: lint types unit

unit:
	@scripts/setup check
	.venv/bin/trial --reporter=text -j $(CORES) tests.unit tests.project

test:
	@scripts/setup test
	.venv/bin/trial -j $(JOBS) tests

coverage:
	@scripts/setup check
	.venv/bin/coverage run -m twisted.trial --reporter=text tests.unit tests.project
	.venv/bin/coverage report

test-latest:
	@scripts/setup check
	.venv/bin/nox --session latest

pythons:
	@scripts/setup check
	.venv/bin/nox

costs:
	@scripts/setup check
	.venv/bin/python -m tests.support.cost_scenarios

bench:
	@scripts/setup bench
	.venv/bin/python -m benchmarks

soak:
	@scripts/setup bench
	.venv/bin/python -m benchmarks.soak

soak-cluster:
	@scripts/setup bench
	.venv/bin/python -m benchmarks.soak.cluster

trials:
	@scripts/setup bench
	.venv/bin/python -m benchmarks.trials

conformance:
	@scripts/setup conformance
	.venv/bin/python -m conformance

lint:
	@scripts/setup check
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .

types:
	@scripts/setup check
	.venv/bin/mypy

package:
	@scripts/setup check
	rm -rf dist
	.venv/bin/python -m build --outdir dist .
	.venv/bin/twine check --strict dist/*

# Root, apart from the rest of the machine: what is mounted or started goes with the command.
APART := $(if $(filter 0,$(shell id -u)),,sudo) unshare --mount --pid --fork --mount-proc --kill-child
RELEASE ?= bookworm

deb:
	@scripts/setup packages
	$(APART) .venv/bin/python -m packages.deb --release $(RELEASE)

image:
	@scripts/setup packages
	$(APART) .venv/bin/python -m packages.image

test-packages: deb image
	$(APART) env RELEASE=$(RELEASE) .venv/bin/trial packages
