# All targets work in a virtual environment of their own: make VENV=/elsewhere/venv test
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
JOBS ?= 2

.PHONY: setup check test golden bench clean

setup: $(VENV)/.ready

$(VENV)/.ready: setup.cfg setup.py pyproject.toml $(wildcard alpyna_hook/*/*.[ch])
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	touch $@

# Style, types, direction of imports.
check: setup
	$(BIN)/python -m flake8 alpyna.py setup.py alpyna_hook kernels tools tests
	$(BIN)/python -m mypy
	$(BIN)/lint-imports

test: setup
	$(BIN)/python -m pytest -q -n $(JOBS)

# The printed results of each stage only.
golden: setup
	$(BIN)/python -m pytest -q tests/golden tests/frontend tests/report

# Medians and ratios of every kernel; minutes. Writes docs/ only where it measured.
bench: setup
	$(BIN)/python -m pip install --quiet --editable '.[bench]'
	$(BIN)/python tools/bench.py

clean:
	rm -rf build dist *.egg-info .mypy_cache .pytest_cache .import_linter_cache
