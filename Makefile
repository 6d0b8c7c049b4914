# `make demo`, `make test` and `make check` need Python 3.11 or later and make, nothing else.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

# Also for what builds the package, in its own environment: older and newer pip's names for it.
export PIP_CONSTRAINT := $(CURDIR)/constraints.txt
export PIP_BUILD_CONSTRAINT := $(CURDIR)/constraints.txt

.PHONY: demo test check format screenshots clean

demo: $(READY)
	$(BIN)/auditor demo --out build/demo

test: $(READY)
	$(BIN)/python -m pytest

check: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# Every page of the dashboard as a picture, and the three of the README; needs Debian's chromium.
screenshots: $(READY)
	$(BIN)/python -m benchmarks.screenshots
	$(BIN)/python -m benchmarks.screenshots --readme

# torch first: the index's newest torch would bring gigabytes of CUDA, the pin does not.
$(READY): pyproject.toml constraints.txt
	@echo "Setting up $(VENV), once; this takes some minutes."
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet torch torchvision
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	touch $@

clean:
	rm -rf $(VENV) build dist *.egg-info
