PYTHON ?= python3
BIN := .venv/bin
PYTEST := $(BIN)/python -m pytest
XDIST := -n 2 --dist worksteal

.DEFAULT_GOAL := help
.PHONY: help install dev web otel run test test-fast soak bench check schema readme format lock clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

PYTHON_VERSION = $(shell $(PYTHON) -c 'import sys; print(sys.version.split()[0])' 2>/dev/null)
IS_NEW_ENOUGH = $(shell $(PYTHON) -c 'import sys; print(sys.version_info >= (3, 11))' 2>/dev/null)
TOO_OLD = Python 3.11 or later is needed, and $(PYTHON) is $(or $(PYTHON_VERSION),missing). \
  If you have a later one, name it: make $(or $(firstword $(MAKECMDGOALS)),run) PYTHON=python3.12

# Remove an incomplete .venv: the next run would take it for finished.
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

dev: .venv/.dev ## install what the tests and checks need
web: .venv/.web ## build GraphiQL if its sources have changed
	@$(BIN)/python -m app.web.build

install: .venv/.installed ## install what `transfers serve` needs
otel: .venv/.otel ## install what traces need in addition

run: install web ## install and build what is missing, and start the demo
	@$(BIN)/transfers serve --demo

test: dev web ## run all tests
	$(PYTEST) $(XDIST)

test-fast: dev ## run the fast tests, under a minute
	$(PYTEST) $(XDIST) -m "not slow"

soak: dev web ## run the long tests in full, about an hour
	$(PYTEST) -m slow --soak

bench: dev ## measure what the limits save, and the load of one principal
	$(BIN)/python -m tests.bench.limits
	$(BIN)/python -m tests.bench.load

check: dev ## check style, types, import directions and schema.graphql
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/transfers schema | diff -u schema.graphql -

schema: dev ## write schema.graphql from the code
	$(BIN)/transfers schema > schema.graphql

readme: dev ## write the settings and the diagram into the READMEs from the code
	$(BIN)/python -m tests.readme.generated

format: dev ## correct the style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

lock: dev ## update the lock files
	$(BIN)/uv pip compile -q --universal --generate-hashes --no-emit-index-url --custom-compile-command "make lock" pyproject.toml --extra build -o requirements.lock
	$(BIN)/uv pip compile -q --universal --generate-hashes --no-emit-index-url --custom-compile-command "make lock" --group web -o requirements-web.lock
	$(BIN)/uv pip compile -q --universal --generate-hashes --no-emit-index-url --custom-compile-command "make lock" --group ariadne -o tests/clients/ariadne.lock
	$(BIN)/uv pip compile -q --universal --generate-hashes --no-emit-index-url --custom-compile-command "make lock" pyproject.toml --extra build --extra otel -o requirements-otel.lock
	$(BIN)/uv pip compile -q --universal --generate-hashes --no-emit-index-url --custom-compile-command "make lock" pyproject.toml --extra build --extra otel --group dev -o requirements-dev.lock

clean: ## remove everything that these targets create
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis app/web/*/node_modules app/web/*/dist tests/clients/node_modules tests/clients/generated
