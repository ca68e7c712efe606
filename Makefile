# One command each, on a fresh machine with Python 3.11 or newer and make:
#   make demo    environment, install, then the whole way on generated patients; ends with a table and pictures
#   make test    environment, install, all tests
#   make web     the page, built into the runtime for its node to serve; needs Node.js 20.19 or newer and npm
# The rest is for those who change the code; CONTRIBUTING.md says when to use which.

PYTHON ?= python3
VENV ?= .venv
DEMO ?= demo
# Test processes; each runs single-threaded. COV=1 measures coverage and holds its floors.
JOBS ?= auto
COV ?=
PYTEST_ARGS ?=

ifeq ($(OS),Windows_NT)
BIN := $(VENV)/Scripts
else
BIN := $(VENV)/bin
endif
PY := $(BIN)/python

ONE_THREAD := OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1
PYTEST := $(PY) -W error -m pytest
SPREAD := -n $(JOBS) --maxprocesses 8 --dist loadfile
ifneq ($(COV),)
COVER := --cov --cov-branch --cov-report=
endif

PAGE := runtime/brainseg_runtime/node/watching/page

.PHONY: help install test demo web check format cov floors hosts bench soak attack clean
.NOTPARALLEL:

help:
	@sed -n '1,/^$$/s/^# \{0,1\}//p' Makefile

install: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "brainseg needs Python 3.11 or newer, this is %d.%d; name another with PYTHON=..." % sys.version_info[:2])'
	@echo 'Installing into $(VENV): minutes, and about 2 GB of disk.'
	$(PYTHON) -m venv $(VENV)
	$(PY) -m pip install -qq --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

test: install
	$(ONE_THREAD) $(PYTEST) $(SPREAD) $(COVER) $(PYTEST_ARGS)
ifneq ($(COV),)
	@$(MAKE) --no-print-directory floors
endif

cov:
	@$(MAKE) --no-print-directory test COV=1

# Branch coverage, each package by itself: what the runtime does not test, a hospital does.
floors:
	$(PY) -m coverage report --include='*/brainseg_runtime/*' --fail-under=95
	$(PY) -m coverage report --include='*/brainseg_train/*' --fail-under=90
	$(PY) -m coverage report --include='*/brainseg_export/*' --fail-under=90

# The phantom stands in for patients: training sees one set, prediction another that it never saw.
demo: install
	rm -rf $(DEMO)
	mkdir -p $(DEMO)
	$(BIN)/brainseg-train all --data phantom --preset quick --runs $(DEMO)/runs
	$(BIN)/brainseg-export --best --runs $(DEMO)/runs --out $(DEMO)/bundles > $(DEMO)/export.log
	@cat $(DEMO)/export.log
	$(BIN)/brainseg-train phantom $(DEMO)/patients --patients 4 --seed 2718
	$(BIN)/brainseg predict "$$(tail -n 1 $(DEMO)/export.log)" $(DEMO)/patients -o $(DEMO)/predictions --overlay
	$(BIN)/brainseg evaluate "$$(tail -n 1 $(DEMO)/export.log)" $(DEMO)/patients --report $(DEMO)/evaluation.html
	@echo; cat $(DEMO)/runs/leaderboard.md; echo
	@echo "The networks compared, with curves and pictures:   $(DEMO)/runs/report.html"
	@echo "The exported model on four patients it never saw:  $(DEMO)/evaluation.html"
	@echo "Their masks and overlays:                          $(DEMO)/predictions"
	@echo "The bundle that a workstation receives:            $$(tail -n 1 $(DEMO)/export.log)"

# The programs in other languages: those for which this machine has a compiler are built and answer the golden cases.
# What else they keep is among the tests.
hosts: install hosts/node/node_modules
	$(PY) -m benchmarks.hosts

hosts/node/node_modules: hosts/node/package-lock.json
	@if command -v npm >/dev/null; then cd hosts/node && ONNXRUNTIME_NODE_INSTALL=skip npm ci --silent --ignore-scripts; \
	  else echo 'npm is missing: the host in Node.js is left out'; fi
	@if [ -d $@ ]; then touch $@; fi

# From the registry's packages in the versions and hashes of web/package-lock.json; no script of theirs runs.
web:
	@node -e 'const [a, b] = process.versions.node.split("."); process.exit(a > 20 || (a == 20 && b >= 19) ? 0 : 1)' || { echo 'The page is built by Node.js 20.19 or newer.'; exit 1; }
	cd web && npm ci --ignore-scripts --no-audit --no-fund --silent && npm run build --silent
	rm -rf $(PAGE)
	cp -R web/build $(PAGE)

check: install
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

format: install
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

bench: install
	$(PY) -m benchmarks

soak: install
	$(ONE_THREAD) $(PYTEST) -m slow tests/reliability $(PYTEST_ARGS)

attack: install
	$(ONE_THREAD) $(PYTEST) -m 'slow or not slow' tests/attacks $(PYTEST_ARGS)

clean:
	rm -rf $(VENV) $(DEMO) $(PAGE) web/build web/node_modules hosts/node/node_modules .coverage* .mypy_cache .pytest_cache .ruff_cache .hypothesis .benchmarks
