# `make demo` and `make test` need nothing but Python 3.11 to 3.13, make and the network.
#
# One environment, .venv, in two stages. The demo needs a tenth of the packages that the tests
# need, so it installs those alone; the second stage adds the rest. Both
# locks name the same versions, so nothing is downloaded or installed twice.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
CODE := $(wildcard src tests tools bench demo examples)

# A lock is complete, so pip need not resolve it again. Compiling every module of all packages
# takes longer than compiling the ones that get used, when they get used.
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-compile

# Some machines forbid Python to keep what it has compiled. Then each server that a test starts
# would compile scikit-learn anew: ten seconds instead of one.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help venv demo demo-image test check bench bench-build format lock clean
.DELETE_ON_ERROR:

help:
	@echo "make demo        train a model, serve it, send it requests, stop it"
	@echo "make demo-image  convert, lock and build; run the image, or verify it"
	@echo "make test        run every test and measure coverage"
	@echo "make check       linters, types and import layers"
	@echo "make bench       Boxship beside other servers; half an hour, needs wrk and nginx"
	@echo "make bench-build images beside a Dockerfile's; ten minutes, needs tools/parts.sh"
	@echo "make format      let ruff mend what it can"
	@echo "make venv        only set up $(VENV)"
	@echo "make lock        compile both locks again, with the newest versions"
	@echo "make clean       remove $(VENV) and everything else that was made here"

venv: $(VENV)/.dev

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' || { \
	  echo "Boxship needs Python 3.11, 3.12 or 3.13, and '$(PYTHON)' is: $$($(PYTHON) --version 2>&1)."; \
	  echo "Name another one: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; } >&2
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || $(MAKE) --no-print-directory ensurepip
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
	  echo "'$(PYTHON) -m venv $(VENV)' failed. On Debian and Ubuntu it needs a package of its own:"; \
	  echo "apt-get install python3-venv"; exit 1; } >&2

# Debian's Python comes without ensurepip, which venv needs; where we may, we install it.
.PHONY: ensurepip
ensurepip:
	@if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  echo "Installing Debian's python3-venv, which '$(PYTHON) -m venv' needs"; \
	  apt-get -qq update && DEBIAN_FRONTEND=noninteractive \
	    apt-get -qq install --yes --no-install-recommends python3-venv >/dev/null; fi

$(VENV)/.demo: requirements-demo.lock pyproject.toml | $(BIN)/python
	@echo "Installing what the demo needs into $(VENV)"
	@$(INSTALL) --require-hashes -r requirements-demo.lock
	@$(INSTALL) --no-build-isolation -e .
	@touch $@

$(VENV)/.dev: requirements-dev.lock $(VENV)/.demo
	@echo "Installing what the tests need into $(VENV)"
	@$(INSTALL) --require-hashes -r requirements-dev.lock
	@touch $@

demo: $(VENV)/.demo
	@$(BIN)/python demo/run.py

demo-image: $(VENV)/.dev
	@PYTHONPATH=tests $(BIN)/python demo/image.py

# Two files at once, in the order of their names: the longest stand near the front.
# For a part of the tests, without coverage: .venv/bin/pytest tests/runtimes
test: $(VENV)/.dev
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

check: $(VENV)/.dev
	$(BIN)/ruff check $(CODE)
	$(BIN)/ruff format --check $(CODE)
	$(BIN)/mypy $(CODE)
	$(BIN)/lint-imports

bench: $(VENV)/.dev
	$(BIN)/python bench/run.py $(ARGS)

bench-build: $(VENV)/.dev
	$(BIN)/python bench/build/run.py $(ARGS)

format: $(VENV)/.dev
	$(BIN)/ruff check --fix $(CODE)
	$(BIN)/ruff format $(CODE)

# --universal: one lock for CPython 3.11 to 3.13 on x86-64 and aarch64.
COMPILE := $(BIN)/uv pip compile pyproject.toml --quiet --upgrade --universal \
  --python-version 3.11 --fork-strategy fewest --generate-hashes --custom-compile-command "make lock"

lock: $(VENV)/.dev
	$(COMPILE) --extra all --group dev --output-file requirements-dev.lock
	$(COMPILE) --extra sklearn --extra pandas --group build --constraint requirements-dev.lock \
	  --output-file requirements-demo.lock

clean:
	rm -rf $(VENV) .demo .bench build dist .coverage .coverage.* .hypothesis
	rm -rf .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
