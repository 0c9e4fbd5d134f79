# Needs python3 (>= 3.11), python3-venv and make. Everything else is installed into .venv.
PYTHON ?= python3
BIN := .venv/bin
SOURCES := app.py relay crm_clients tests bench website release

.DEFAULT_GOAL := help
.PHONY: help setup demo run test check format docs bench bench-full bench-publish profile capacity chaos screenshots mutants lock audit build sbom release-check clean

help: ## list the commands
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 15

# pip installs uv and the build backend, both pinned by hash. uv installs the rest.
.venv/.build: requirements-build.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "make: $(PYTHON) is older than 3.11; use a newer one: make PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -m venv --clear .venv || { echo "make: cannot create a virtual environment; on Debian: apt-get install python3-venv" >&2; exit 1; }
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-build.lock
	@touch $@

.venv/.runtime: .venv/.build requirements.lock pyproject.toml
	@$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python --require-hashes -r requirements.lock
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e .
	@touch $@

.venv/.dev: .venv/.runtime requirements-dev.lock
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements-dev.lock
	@touch $@

setup: .venv/.runtime ## install the relay into .venv

demo: .venv/.runtime ## run a simulated CloudTalk, a relay and an embedded CRM (ARGS=--once: end after the last call)
	@$(BIN)/relay demo $(ARGS)

run: .venv/.runtime ## run the relay with settings.toml
	@$(BIN)/relay serve $(ARGS)

# The files of tests/acceptance are the slowest: they come first, as pytest collects them. By default xdist
# begins with the files that have the most tests.
test: .venv/.dev ## run all tests, including those against real servers
	@$(BIN)/pytest -n 3 --dist loadfile --no-loadscope-reorder $(ARGS)

check: .venv/.dev ## check format, lint, types and the import contract
	@$(BIN)/ruff format --check $(SOURCES)
	@$(BIN)/ruff check $(SOURCES)
	@$(BIN)/mypy $(SOURCES)
	@$(BIN)/lint-imports

format: .venv/.dev ## format the code and apply the fixes of the linter
	@$(BIN)/ruff format $(SOURCES)
	@$(BIN)/ruff check --fix $(SOURCES)

docs: .venv/.dev ## build the documentation as web pages in build/site; a broken link is an error
	@$(BIN)/python -m website $(ARGS)

bench: .venv/.dev ## measure the relay on this machine, and compare it with a bare endpoint
	@$(BIN)/python -m bench $(ARGS)

bench-full: .venv/.dev ## the same, also with 5 million events in the ledger, and the console with a million calls
	@$(BIN)/python -m bench --full $(ARGS)

bench-publish: .venv/.dev ## write the figures of the last run to the README, docs/benchmarks.md and docs/capacity.md
	@$(BIN)/python -m bench.publish
	@$(BIN)/python -m bench.capacity --write

profile: .venv/.dev ## show by samples where the CPU time of a relay goes (needs py-spy; ARGS: accept, everything, steady, backlog)
	@$(BIN)/python -m bench.profile $(ARGS)

capacity: .venv/.dev ## print what an installation holds, computed from the measured figures
	@$(BIN)/python -m bench.capacity $(ARGS)

chaos: .venv/.dev ## kill relays and break their machine under load, and write the results to docs/chaos.md
	@$(BIN)/python -m tests.chaos $(ARGS)

screenshots: .venv/.dev ## take the pictures of the console in docs/images with Chromium
	@$(BIN)/python -m tests.browser.screenshots

mutants: .venv/.dev ## change the core in a thousand places, one at a time, and see whether the tests fail
	@$(BIN)/python -m tests.mutants $(ARGS)

# --upgrade takes the newest versions that pyproject.toml allows. The dev lock uses the versions of the
# runtime lock.
COMPILE = $(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --custom-compile-command "make lock"
lock: .venv/.build ## update requirements*.lock
	@$(COMPILE) --group build -o requirements-build.lock
	@$(COMPILE) pyproject.toml -o requirements.lock
	@$(COMPILE) -c requirements.lock --group dev -o requirements-dev.lock

audit: .venv/.dev ## look for known vulnerabilities of the dependencies (without the database: error 3, nothing is proved)
	@$(BIN)/python -m release.audit $(ARGS) requirements.lock requirements-build.lock requirements-dev.lock

build: .venv/.dev ## build the wheel and the source package in dist, the same bytes from the same commit
	@$(BIN)/python -m release.build dist

# The warning is about the graph of dependencies, which a lock file does not have.
sbom: .venv/.dev ## write the bill of materials of the dependencies (CycloneDX) to dist
	@mkdir -p dist
	@PYTHONWARNINGS=ignore $(BIN)/cyclonedx-py requirements requirements.lock --pyproject pyproject.toml --output-reproducible -o dist/cloudtalk-relay.cdx.json

release-check: build sbom ## check the packages: build them again, install the wheel and run it (ARGS="--tag v1.2.3")
	@$(BIN)/python -m release.check dist $(ARGS)

clean: ## remove all files that the commands created
	@rm -rf .venv build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
