PYTHON ?= python3
BIN := .venv/bin
PYTEST := $(BIN)/python -m pytest
XDIST := -n 2 --dist worksteal

.DEFAULT_GOAL := help
.PHONY: help install dev web otel run test test-fast soak bench check schema readme format lock clean

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

PYTHON_VERSION = $(shell $(PYTHON) -c 'import sys; print(sys.version.split()[0])' 2>/dev/null)
IS_NEW_ENOUGH = $(shell $(PYTHON) -c 'import sys; print(sys.version_info >= (3, 11))' 2>/dev/null)
TOO_OLD = Python 3.11 or later is needed, and $(PYTHON) is $(or $(PYTHON_VERSION),missing). \
  If you have a later one, name it: make $(or $(firstword $(MAKECMDGOALS)),run) PYTHON=python3.12

# A folder that is left half made would look finished to the next try.
.venv/bin/python:
	$(if $(filter True,$(IS_NEW_ENOUGH)),,$(error $(TOO_OLD)))
	@$(PYTHON) -m venv --clear .venv || { rm -rf .venv; exit 1; }

.venv/.installed: pyproject.toml requirements.lock .venv/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

.venv/.dev: requirements-dev.lock .venv/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	@touch $@

.venv/.web: requirements-web.lock .venv/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-web.lock
	@touch $@

.venv/.otel: requirements-otel.lock .venv/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-otel.lock
	@touch $@

dev: .venv/.dev ## what the tests and checks need
web: .venv/.web ## build GraphiQL, if its sources have changed
	@$(BIN)/python -m app.web.build

install: .venv/.installed ## what `transfers serve` needs
otel: .venv/.otel ## what traces need, besides

run: install web ## build what is missing, start the demo, say what to open
	@$(BIN)/transfers serve --demo

test: dev web ## the whole test suite
	$(PYTEST) $(XDIST)

test-fast: dev ## the quick part of it, under a minute
	$(PYTEST) $(XDIST) -m "not slow"

soak: dev web ## the long runs in full, about an hour
	$(PYTEST) -m slow --soak

bench: dev ## what the limits save, and the load that one principal gets
	$(BIN)/python -m tests.bench.limits
	$(BIN)/python -m tests.bench.load

check: dev ## types, style, import directions, schema up to date
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/transfers schema | diff -u schema.graphql -

schema: dev ## write schema.graphql from the code
	$(BIN)/transfers schema > schema.graphql

readme: dev ## write the settings and the diagram into the READMEs from the code
	$(BIN)/python -m tests.readme.generated

format: dev ## put the style right
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

lock: dev ## resolve the dependencies anew
	$(BIN)/uv pip compile -q --universal --generate-hashes --no-emit-index-url --custom-compile-command "make lock" pyproject.toml --extra build -o requirements.lock
	$(BIN)/uv pip compile -q --universal --generate-hashes --no-emit-index-url --custom-compile-command "make lock" --group web -o requirements-web.lock
	$(BIN)/uv pip compile -q --universal --generate-hashes --no-emit-index-url --custom-compile-command "make lock" --group ariadne -o tests/clients/ariadne.lock
	$(BIN)/uv pip compile -q --universal --generate-hashes --no-emit-index-url --custom-compile-command "make lock" pyproject.toml --extra build --extra otel -o requirements-otel.lock
	$(BIN)/uv pip compile -q --universal --generate-hashes --no-emit-index-url --custom-compile-command "make lock" pyproject.toml --extra build --extra otel --group dev -o requirements-dev.lock

clean: ## remove everything made here
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis app/web/*/node_modules app/web/*/dist tests/clients/node_modules tests/clients/generated
