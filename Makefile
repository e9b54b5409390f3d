# make demo | test | lint | bench | clean. Everything is installed into .venv; nothing else is touched.
# The first interpreter that fits, unless one is named.
ifndef PYTHON
PYTHON := $(shell for p in python3 python3.11 python3.12 python3.13; do \
	$$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' 2>/dev/null && echo $$p && break; done)
endif
VENV := .venv
# Each peer has an environment of its own, for `make bench` only.
PEERS := torch tensorflow jax onnxruntime
PY := $(VENV)/bin/python
INSTALL := $(PY) -m pip install --disable-pip-version-check --quiet --config-settings editable_mode=compat -e

.NOTPARALLEL:
.PHONY: help demo test lint bench clean

help:
	@echo "make demo   train a small network on the bundled digits, show what it misreads; results in ./demo/"
	@echo "make test   run the tests"
	@echo "make lint   check style, types and the direction of imports"
	@echo "make bench  compare speed with PyTorch, TensorFlow, JAX and onnxruntime (downloads them)"
	@echo "make clean  remove what the others made"
	@echo "PYTHON=python3.12 make ... chooses the interpreter, 3.11 to 3.13 (after make clean)"

demo: $(VENV)/plot.stamp
	$(PY) -m symgraph.models.mnist_cnn

test: $(VENV)/test.stamp
	$(PY) -m pytest -q --numprocesses auto --dist loadgroup tests

lint: $(VENV)/lint.stamp
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy
	$(VENV)/bin/lint-imports

bench: $(VENV)/test.stamp $(PEERS:%=$(VENV)/peers/%.stamp)
	$(PY) -m benchmarks.call_overhead
	$(PY) -m benchmarks.model_memory
	$(PY) -m benchmarks.network_memory
	$(PY) -m benchmarks.growth
	$(PY) -m benchmarks.augmentation
	$(PY) -m benchmarks --out benchmarks/RESULTS.md
	$(PY) -m benchmarks.networks --out benchmarks/NETWORKS.md
	$(PY) -m benchmarks.products
	$(PY) -m benchmarks.kernels --out benchmarks/KERNELS.md

clean:
	rm -rf $(VENV) demo build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis \
		.import_linter_cache .grimp_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# A stamp is newer than pyproject.toml once its requirements, an extra of that name, are installed.
$(VENV)/made.stamp: pyproject.toml
	@test -n "$(PYTHON)" || { echo "symgraph needs Python 3.11 to 3.13, but none was found: set PYTHON=..."; exit 1; }
	@command -v $(PYTHON) >/dev/null || { echo "symgraph needs Python 3.11 to 3.13, but there is no $(PYTHON): set PYTHON=..."; exit 1; }
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if (3, 11) <= v < (3, 14) else "symgraph needs Python 3.11 to 3.13, but $(PYTHON) is %d.%d: set PYTHON=..." % v)'
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/%.stamp: $(VENV)/made.stamp
	$(INSTALL) ".[$*]"
	@touch $@

$(VENV)/peers/%.stamp: benchmarks/environments/%.txt
	@mkdir -p $(VENV)/peers
	$(PYTHON) -m venv $(VENV)/peers/$*
	$(VENV)/peers/$*/bin/python -m pip install --disable-pip-version-check --quiet -r $<
	@touch $@
