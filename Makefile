# make demo | test | lint | bench | clean. Everything is installed into .venv; nothing else is touched.
PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
INSTALL := $(PY) -m pip install --disable-pip-version-check --quiet --config-settings editable_mode=compat -e

.NOTPARALLEL:
.PHONY: help demo test lint bench clean

help:
	@echo "make demo   train a small network on the bundled digits; results in ./demo/"
	@echo "make test   run the tests"
	@echo "make lint   check style, types and the direction of imports"
	@echo "make bench  compare speed with PyTorch (downloads it)"
	@echo "make clean  remove what the others made"
	@echo "PYTHON=python3.12 make ... chooses the interpreter, 3.11 to 3.13 (after make clean)"

demo: $(VENV)/run.stamp
	$(PY) -m symgraph.models.mnist_cnn

test: $(VENV)/test.stamp
	$(PY) -m pytest -q tests

lint: $(VENV)/lint.stamp
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy
	$(VENV)/bin/lint-imports

bench: $(VENV)/bench.stamp
	$(PY) -m benchmarks.mnist_cnn
	$(PY) -m benchmarks.call_overhead
	$(PY) -m benchmarks.model_memory

clean:
	rm -rf $(VENV) demo build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis \
		.import_linter_cache .grimp_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# A stamp is newer than pyproject.toml once its requirements are installed.
$(VENV)/run.stamp: pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "symgraph needs Python 3.11 to 3.13, but there is no $(PYTHON): set PYTHON=..."; exit 1; }
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if (3, 11) <= v < (3, 14) else "symgraph needs Python 3.11 to 3.13, but $(PYTHON) is %d.%d: set PYTHON=..." % v)'
	$(PYTHON) -m venv $(VENV)
	$(INSTALL) .
	@touch $@

$(VENV)/%.stamp: $(VENV)/run.stamp
	$(INSTALL) ".[$*]"
	@touch $@
