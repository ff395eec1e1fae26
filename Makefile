# Two commands do all set-up on a fresh machine with Python 3.11+, make and git: `make run` and `make test`.
PYTHON ?= python3
DATA ?= data
VENV := .venv
BIN := $(VENV)/bin
PEERS := .venv-peers
GUARDDOG := .venv-guarddog
TOOLS := .venv-tools
TRAIN := .venv-train
CACHE ?= $(HOME)/.cache/wheelmark-train
CONFORMANCE := .venv-conformance
FUZZ := .venv-fuzz
SECONDS := 600
UV := $(BIN)/uv
UV_VERSION := 0.13.9
LOCK := $(UV) pip compile --quiet --universal --generate-hashes --no-emit-index-url --python-version 3.11 \
	--custom-compile-command 'make lock'

# Tests start hundreds of processes; where an environment forbids bytecode, each of them would compile everything anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: run demo test test-again check services conformance bench train fuzz docs lock setup setup-dev clean

run: setup
	$(BIN)/wheelmark serve --data $(DATA)

# A virtual environment made by one interpreter is of no use to another: the stamp names the version.
$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Wheelmark needs Python 3.11 or newer, got " + sys.version.split()[0])'
	$(PYTHON) -m venv $(VENV)

$(UV): $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)

# `make run` after `make test` must not take the test tools away, hence the order of the two stamps.
$(VENV)/.runtime: requirements.lock pyproject.toml $(UV)
	test -e $(VENV)/.dev || $(UV) pip install --quiet --require-hashes --requirement requirements.lock
	test -e $(VENV)/.dev || $(UV) pip install --quiet --no-deps --no-build-isolation --editable .
	touch $@

$(VENV)/.dev: requirements-dev.lock pyproject.toml $(UV)
	$(UV) pip install --quiet --require-hashes --requirement requirements-dev.lock
	$(UV) pip install --quiet --no-deps --no-build-isolation --editable .
	touch $@

setup: $(VENV)/.runtime
setup-dev: $(VENV)/.dev

test: setup-dev
	$(BIN)/python -m pytest -q -n 2 --dist loadfile -m "not services"

# The tests that failed last, one after the other: tells a fault from a machine that was too busy.
test-again: setup-dev
	$(BIN)/python -m pytest -q -m "not services" --last-failed --last-failed-no-failures none

check: setup-dev
	$(BIN)/ruff check src tests bench tools docs
	$(BIN)/ruff format --check src tests bench tools docs
	$(BIN)/mypy src tests bench tools
	$(BIN)/lint-imports
	$(BIN)/python -m django makemigrations --check --dry-run --settings wheelmark.server.settings \
		accounts projects review publishing
	$(MAKE) --no-print-directory docs

services: setup-dev $(TOOLS)/.stamp
	$(BIN)/python tools/services.py $(LANES)

# The TUF project's own suite, from a checkout (it is in no registry): make conformance SUITE=../tuf-conformance
# It wants one executable, hence the written one; beside it lies no list of expected failures. Its configuration is named,
# or pytest would look upwards from every path, the executable's too, and take ours. Nothing is written into SUITE.
conformance: setup
	test -d "$(SUITE)/tuf_conformance" || { echo "expected a checkout: make conformance SUITE=…/tuf-conformance"; exit 2; }
	command -v faketime >/dev/null || apt-get install -y -qq --no-install-recommends faketime
	$(UV) venv --quiet --clear $(CONFORMANCE)
	$(UV) pip install --quiet --python $(CONFORMANCE)/bin/python --editable "$(SUITE)"
	printf '#!%s\nimport sys\nfrom wheelmark.client.conformance import main\nsys.exit(main())\n' \
		"$(abspath $(BIN))/python" >$(CONFORMANCE)/client
	chmod +x $(CONFORMANCE)/client
	PYTHONDONTWRITEBYTECODE=1 $(CONFORMANCE)/bin/python -m pytest -q -p no:cacheprovider -c "$(SUITE)/pyproject.toml" \
		"$(SUITE)/tuf_conformance" --entrypoint "$(abspath $(CONFORMANCE))/client"

# The peers have an environment of their own: their dependencies are none of ours.
$(PEERS)/.stamp: $(UV)
	$(UV) venv --quiet --clear $(PEERS)
	$(UV) pip install --quiet --python $(PEERS)/bin/python 'devpi-server>=6.20' 'pypiserver>=2.4'
	touch $@

# The scanner's peer.
$(GUARDDOG)/.stamp: $(UV)
	$(UV) venv --quiet --clear $(GUARDDOG)
	$(UV) pip install --quiet --python $(GUARDDOG)/bin/python 'guarddog==3.2.*'
	touch $@

# The installers that `wheelmark run` is tested with, each in an environment of its own: pdm and pipx cannot share one.
# pdm needs its `locked` extra, for hishel 2 breaks it.
$(TOOLS)/.stamp: $(UV)
	for tool in poetry==2.5.1 'pdm[locked]==2.29.3' hatch==1.18.2 pip-tools==7.6.2 pipx==1.18.4; do \
		name=$${tool%%[=[]*}; \
		$(UV) venv --quiet --clear --seed --python $(BIN)/python $(TOOLS)/$$name && \
		$(UV) pip install --quiet --python $(TOOLS)/$$name/bin/python "$$tool" || exit 1; \
	done
	touch $@

# `scan` wants samples that are not part of the project: docs/reference/scanner-figures.md says what to name.
bench: setup-dev $(PEERS)/.stamp $(GUARDDOG)/.stamp
	command -v wrk nginx >/dev/null || apt-get install -y -qq --no-install-recommends nginx wrk || true
	$(BIN)/python bench/run.py $(BENCH)

# The learner's libraries are no dependency of the scanner: they have an environment of their own.
$(TRAIN)/.stamp: requirements.lock $(UV)
	$(UV) venv --quiet --clear $(TRAIN)
	$(UV) pip install --quiet --python $(TRAIN)/bin/python --require-hashes --requirement requirements.lock
	$(UV) pip install --quiet --python $(TRAIN)/bin/python lightgbm==4.7.0 numpy==2.4.6
	touch $@

# Wants the samples that bench/scan_samples.py describes, and a folder outside the project: make train CACHE=DIR
train: $(TRAIN)/.stamp
	PYTHONPATH=src $(TRAIN)/bin/python bench/train_scan.py --cache "$(CACHE)" $(OPTIONS)

# Coverage-guided fuzzing of the scanner; atheris has wheels for few interpreters, hence the environment of its own.
$(FUZZ)/.stamp: requirements.lock $(UV)
	$(UV) venv --quiet --clear --python $(BIN)/python $(FUZZ)
	$(UV) pip install --quiet --python $(FUZZ)/bin/python --require-hashes --requirement requirements.lock
	$(UV) pip install --quiet --python $(FUZZ)/bin/python 'atheris==3.0.0'
	touch $@

fuzz: setup $(FUZZ)/.stamp
	PYTHONPATH=src $(FUZZ)/bin/python tools/fuzz_scan.py --seconds $(SECONDS)

docs: setup-dev
	$(BIN)/sphinx-build --fail-on-warning --quiet docs docs/_build/html

demo: setup-dev
	$(BIN)/python tools/demo.py

lock: $(UV)
	$(LOCK) --extra build pyproject.toml --output-file requirements.lock
	$(LOCK) --extra dev pyproject.toml --output-file requirements-dev.lock

clean:
	rm -rf $(VENV) $(PEERS) $(GUARDDOG) $(TOOLS) $(TRAIN) $(CONFORMANCE) $(FUZZ) docs/_build .mypy_cache .ruff_cache .pytest_cache
