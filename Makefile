# make lab     open JupyterLab on the Lab; flags of JupyterLab through ARGS: make lab ARGS="--no-browser --port 8899"
# make test    everything that can be checked, with all it takes
# make build   the front end: difflab/static and difflab/labextension
# make wheel   dist/: an sdist and a wheel that needs no Node
#
# Everything is installed into .venv (or $VENV). Files in its folder .done remember what is done, so that a second call
# starts at once. PYTHON chooses the Python the environment is made from.

SHELL := /bin/sh
VENV ?= .venv
PYTHON ?= $(firstword $(foreach name,python3 python3.14 python3.13 python3.12 python3.11,$(shell $(name) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $(name))))
ARGS ?=
PYTEST_ARGS ?=

BIN := $(abspath $(VENV))/bin
DONE := $(VENV)/.done
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt
LINK := $(VENV)/share/jupyter/labextensions/difflab
# The front end has a rule of its own. pip must not write into the checkout through the link.
EDITABLE := rm -rf $(LINK) $(DONE)/link; SKIP_JUPYTER_BUILDER=1 $(PIP) --no-build-isolation -e
BUILD_TOOLS := hatchling hatch-jupyter-builder jupyter-builder editables
FRONT_END := $(shell find js/src js/style -type f 2>/dev/null) js/package.json js/build.mjs js/tsconfig.json js/tsconfig.labextension.json

# torch on one thread: two stall as soon as the server or the browser takes a core
export OMP_NUM_THREADS ?= 1
export PATH := $(BIN):$(PATH)
export PIP_NO_INPUT := 1

.NOTPARALLEL:
.PHONY: lab test build wheel check-python check-js test-python test-packaging test-notebooks test-browser chromium format clean

lab: $(DONE)/lab $(DONE)/link
	difflab lab $(ARGS)

build: $(DONE)/front-end

# -- what has to be there ------------------------------------------------------------------------------------------------

$(DONE)/venv:
	@test -n "$(PYTHON)" || { echo "difflab needs Python 3.11 or newer: install it, or name it: make PYTHON=/path/to/python3" >&2; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || { echo "Python could not make an environment: install its venv module (on Debian: apt-get install python3-venv)." >&2; exit 1; }
	mkdir -p $(DONE)
	touch $@

$(DONE)/tools: $(DONE)/venv constraints.txt
	$(PIP) $(BUILD_TOOLS)
	touch $@

$(DONE)/lab: $(DONE)/tools pyproject.toml constraints.txt
	@echo "Installing difflab and JupyterLab into $(VENV)"
	$(EDITABLE) ".[lab]"
	touch $@

$(DONE)/test: $(DONE)/lab
	@echo "Installing what the tests need into $(VENV)"
	$(EDITABLE) ".[test]"
	touch $@

$(DONE)/node: $(DONE)/venv tools/node.sh
	tools/node.sh $(VENV)
	touch $@

$(DONE)/npm: $(DONE)/node js/package-lock.json
	cd js && npm ci --loglevel=error
	touch $@

$(DONE)/front-end: $(DONE)/npm $(DONE)/tools $(FRONT_END)
	cd js && npm run --silent build
	touch $@

# JupyterLab reads the extension of a checkout where it is built.
$(DONE)/link: $(DONE)/lab $(DONE)/front-end
	mkdir -p $(dir $(LINK))
	rm -rf $(LINK)
	ln -s "$(abspath difflab/labextension)" $(LINK)
	touch $@

chromium:
	@tools/chromium.sh

# -- tests: the quick ones first, each part under its own heading --------------------------------------------------------

test: $(DONE)/test $(DONE)/link
	@tools/chromium.sh
	@for part in check-python check-js test-python test-notebooks test-packaging test-browser; do \
	  printf '\n== %s\n' "$$part"; $(MAKE) --no-print-directory $$part || { echo "make $$part failed" >&2; exit 1; }; \
	done; echo; echo "All of make test passed."

check-python: $(DONE)/test
	ruff check .
	ruff format --check .
	mypy

check-js: $(DONE)/npm
	cd js && npm run --silent typecheck && npm run --silent format:check && npm run --silent test

test-python: $(DONE)/test $(DONE)/link
	python -m pytest -q -n 2 --dist loadfile --ignore=tests/browser --ignore=tests/packaging $(PYTEST_ARGS)

test-notebooks: $(DONE)/test $(DONE)/link
	python -m pytest -q --nbval-lax --nbval-current-env --nbval-cell-timeout=120 notebooks/*.ipynb

test-packaging: $(DONE)/test $(DONE)/link
	python -m pytest -q tests/packaging $(PYTEST_ARGS)

test-browser: $(DONE)/test $(DONE)/link
	CHROMIUM="$$(tools/chromium.sh)" && export CHROMIUM && python -m pytest -q tests/browser $(PYTEST_ARGS)

# -- for those who work on it --------------------------------------------------------------------------------------------

wheel: $(DONE)/front-end
	$(PIP) build
	rm -rf dist
	python -m build --no-isolation --outdir dist

format: $(DONE)/test $(DONE)/npm
	ruff check --fix .
	ruff format .
	cd js && npm run --silent format

clean:
	rm -rf $(VENV) js/node_modules js/lib difflab/static difflab/labextension dist artifacts
