# `make` needs python3 (>= 3.11), python3-venv and make; everything else comes into .venv.
PYTHON ?= python3
BIN := .venv/bin
SOURCES := app.py relay crm_clients tests bench

.DEFAULT_GOAL := help
.PHONY: help setup demo run test check format bench chaos lock clean

help: ## list the commands
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

# pip brings uv and the build backend, both pinned by hash; uv installs the rest.
.venv/.build: requirements-build.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "make: $(PYTHON) is older than 3.11; name a newer one: make PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -m venv --clear .venv || { echo "make: no virtual environment; on Debian: apt-get install python3-venv" >&2; exit 1; }
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

demo: .venv/.runtime ## a simulated CloudTalk calls a relay with an embedded CRM (ARGS=--once ends by itself)
	@$(BIN)/relay demo $(ARGS)

run: .venv/.runtime ## serve settings.toml
	@$(BIN)/relay serve $(ARGS)

test: .venv/.dev ## run every test, those against real servers included
	@$(BIN)/pytest -n 2 --dist loadfile $(ARGS)

check: .venv/.dev ## format, lint, types, import contract
	@$(BIN)/ruff format --check $(SOURCES)
	@$(BIN)/ruff check $(SOURCES)
	@$(BIN)/mypy $(SOURCES)
	@$(BIN)/lint-imports

format: .venv/.dev ## format the code and mend what the linter can
	@$(BIN)/ruff format $(SOURCES)
	@$(BIN)/ruff check --fix $(SOURCES)

bench: .venv/.dev ## measure the relay on this machine
	@$(BIN)/python -m bench $(ARGS)

chaos: .venv/.dev ## kill relays under load, a hundred times and more, and write the account to docs/chaos.md
	@$(BIN)/python -m tests.chaos $(ARGS)

# --upgrade takes the newest versions that pyproject.toml allows; the dev lock stays within the runtime's.
COMPILE = $(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --custom-compile-command "make lock"
lock: .venv/.build ## write requirements*.lock anew
	@$(COMPILE) --group build -o requirements-build.lock
	@$(COMPILE) pyproject.toml -o requirements.lock
	@$(COMPILE) -c requirements.lock --group dev -o requirements-dev.lock

clean: ## remove what the commands made
	@rm -rf .venv build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
