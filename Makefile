# All tasks: `make help` lists them. Needs only Python 3.11 to 3.13 with venv, and Node.js for `lint` and for the tests
# with JavaScript clients. `make PYTHON=python3.12 TARGET` selects the Python.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
TEST_READY := $(VENV)/.test-ready
WORKERS ?= $(shell echo $$(($$(nproc 2>/dev/null || echo 2) + 2)))
ON_PORT = $(if $(PORT),--port $(PORT))
JAVASCRIPT := $(if $(shell command -v npm 2>/dev/null),build/javascript/.ready build/bench-javascript/.ready)

# For targets FOLDER/.ready: installs the packages of the prerequisites, package.json and package-lock.json.
define NPM_CI
@rm -rf $(@D)
@mkdir -p $(@D)
@cp $^ $(@D)
npm ci --prefix $(@D) --ignore-scripts --no-audit --no-fund --loglevel error
@touch $@
endef

# Set up the environment again if it was copied from another folder or its Python is missing.
ifeq ($(shell [ "$$(cat $(READY) 2>/dev/null)" = "$$(pwd -P)" ] && $(BIN)/python -c '' 2>/dev/null && echo works),)
STALE := $(shell rm -f $(READY) $(TEST_READY))
endif

.DEFAULT_GOAL := help

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):[^#]*## /\1	/p' Makefile | while IFS="$$(printf '\t')" read -r name text; do \
		printf '  make %-13s %s\n' "$$name" "$$text"; done

setup: $(READY) ## install everything for users into .venv, nothing outside it; PYTHON=python3.12 selects the Python

$(READY): requirements.txt pyproject.toml
	@$(PYTHON) tools/setup_venv.py requirements.txt
	@$(BIN)/python -m ujobs_lab.external.setup_umqtt
	@pwd -P > $@

setup-tests: $(TEST_READY) ## install everything for tests and measurements as well

$(TEST_READY): $(READY) requirements-test.txt
	@$(PYTHON) tools/setup_venv.py requirements-test.txt
	@touch $@

demo: setup ## a local Jobs service, a virtual board and seven jobs, in under a minute
	@$(BIN)/ujobs demo

serve: setup ## run the local Jobs service on ports 8080 and 8883 until Ctrl-C; its data is kept in build/cloud
	@$(BIN)/ujobs serve --data build/cloud $(ARGUMENTS)

# More workers than processors, because many tests wait for boards, services and clients in other processes. The order
# of files is that of tests/conftest.py, which also removes the files that they leave behind.
test: setup-tests clients ## run all tests, about fifteen minutes with two processors
	@$(BIN)/pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder

# Without npm or apt-get, some clients are missing; the tests that need them are skipped with a message.
clients: setup-tests build/aws-cli/.ready $(JAVASCRIPT) browser ## install AWS CLI, AWS IoT Device SDK for JavaScript, mosquitto and Chromium into build/
	@$(BIN)/python -m ujobs_lab.external.mosquitto

browser: build/selenium/.ready $(if $(JAVASCRIPT),build/browser/.ready)
	@$(BIN)/python -m ujobs_lab.external.chromium

build/selenium/.ready: $(TEST_READY) requirements-browser.txt
	@mkdir -p build/selenium
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps -r requirements-browser.txt
	@touch $@

build/browser/.ready: tests/service/page/javascript/package.json tests/service/page/javascript/package-lock.json
	$(NPM_CI)

pictures: setup-tests browser ## make docs/demo.svg and docs/live-page.png, for README and quick start
	@$(BIN)/python -m ujobs_lab.pages.pictures

build/aws-cli/.ready: requirements-aws-cli.txt
	@rm -rf build/aws-cli
	$(PYTHON) -m venv build/aws-cli
	build/aws-cli/bin/pip install --quiet --disable-pip-version-check --no-deps -r requirements-aws-cli.txt
	@touch $@

build/javascript/.ready: tests/clients/javascript/package.json tests/clients/javascript/package-lock.json
	$(NPM_CI)

lint: setup-tests typings ## run ruff and pyright on the tools, and on device code for the ESP32 and for Linux, where it is tested
	$(BIN)/ruff check .
	$(BIN)/pyright --project pyrightconfig.tools.json
	$(BIN)/pyright --project pyrightconfig.device.json
	$(BIN)/pyright --project pyrightconfig.unix.json

typings: build/typings/.ready build/typings-unix/.ready

build/typings/.ready: $(READY) requirements-typings.txt
	@rm -rf build/typings
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --target build/typings -r requirements-typings.txt
	@touch $@

build/typings-unix/.ready: $(READY) requirements-typings-unix.txt
	@rm -rf build/typings-unix
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --target build/typings-unix \
		-r requirements-typings-unix.txt
	@touch $@

api: setup-tests ## write docs/api.md from the docstrings of the library
	@$(BIN)/python -m ujobs_lab.pages.api_reference

size: setup-tests ## print the bytes of each library module as .mpy; fails if a limit is exceeded
	@$(BIN)/python -m ujobs_lab.bench.size $(if $(JSON),--json $(JSON))

bench: setup-tests $(if $(JAVASCRIPT),build/bench-javascript/.ready) ## measure memory, speed and flash wear against the alternatives; ONLY=ram, QUICK=1, JSON=FILE
	@$(BIN)/python -m ujobs_lab.bench $(if $(ONLY),--only $(ONLY)) $(if $(QUICK),--quick) $(if $(JSON),--json $(JSON))

bench-docs: build/plots/.ready ## write the tables and the plot of docs/performance.md from the results of `make bench JSON=FILE`
	@$(BIN)/python -m ujobs_lab.bench.docs $(or $(JSON),build/bench.json)

build/plots/.ready: $(TEST_READY) requirements-plots.txt
	@mkdir -p build/plots
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps -r requirements-plots.txt
	@touch $@

build/bench-javascript/.ready: tools/ujobs_lab/bench/javascript/package.json tools/ujobs_lab/bench/javascript/package-lock.json
	$(NPM_CI)

bench-service: setup-tests ## measure what the local Jobs service carries: 1,000 things, next to the same messages through mosquitto
	@$(BIN)/python -m ujobs_lab.external.mosquitto
	@$(BIN)/python -m ujobs_lab.bench.service

faults: setup-tests ## cut the power and break the link everywhere, and count the failures; SEED=2: only the random cases, other ones
	@$(BIN)/python -m ujobs_lab.faults power $(if $(SEED),--seed $(SEED) --random-only)
	@$(BIN)/python -m ujobs_lab.faults.link $(if $(SEED),--seed $(SEED) --random-only)

fuzz: build/fuzz/.ready ## run the fuzz tests with inputs chosen by coverage, SECONDS=60 for each test
	@$(BIN)/python -m ujobs_lab.fuzz $(if $(SECONDS),--seconds $(SECONDS)) $(if $(SEED),--seed $(SEED))

build/fuzz/.ready: $(TEST_READY) requirements-fuzz.txt
	@mkdir -p build/fuzz
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps -r requirements-fuzz.txt
	@touch $@

mutants: setup-tests ## put faults into the library, one at a time, and count those that the tests detect; COUNT=120 SEED=1 ONLY=link
	@$(BIN)/python -m ujobs_lab.mutants $(if $(COUNT),--count $(COUNT)) $(if $(SEED),--seed $(SEED)) $(if $(ONLY),--only '$(ONLY)')

long-life: setup-tests $(if $(JAVASCRIPT),build/bench-javascript/.ready) ## simulate a year of a board, and a month with 32-bit words, to see whether its memory grows
	@$(BIN)/python -m ujobs_lab.faults.long_life

flash: setup ## erase an ESP32 and install MicroPython: PORT=/dev/ttyUSB0 FIRMWARE=FILE.bin
	@$(BIN)/ujobs flash $(FIRMWARE) $(ON_PORT) $(if $(DRY_RUN),--dry-run)

provision: setup ## create a thing for a board and deploy to it: PORT= THING=kiln-7 APP=DIR ARGUMENTS="--wifi-ssid NETWORK"
	@$(BIN)/ujobs provision $(THING) $(ON_PORT) $(if $(APP),--app $(APP)) $(ARGUMENTS)

deploy: setup ## deploy library and application to a board, changed files only: PORT= APP=DIR; DRY_RUN=1 lists them
	@$(BIN)/ujobs deploy $(ON_PORT) $(if $(APP),--app $(APP)) $(if $(DRY_RUN),--dry-run)

repl: setup ## open the REPL of a board: PORT=; Ctrl-C stops the program, Ctrl-] exits
	@$(BIN)/mpremote $(if $(PORT),connect $(PORT)) resume repl

logs: setup ## show the console of a board until Ctrl-C: PORT=
	@$(BIN)/ujobs logs $(ON_PORT)

qualify: setup ## test the promises on a virtual board; ARGUMENTS="--port /dev/ttyUSB0 ...": on a real one
	@$(BIN)/ujobs qualify --folder build/qualify $(or $(ARGUMENTS),--virtual)

wipe: setup ## remove all files from a board, after asking: PORT=; DRY_RUN=1 lists them
	@$(BIN)/ujobs wipe $(ON_PORT) $(if $(YES),--yes) $(if $(DRY_RUN),--dry-run)

clean: ## remove everything that set-up and tests created
	rm -rf $(VENV) build dist .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.PHONY: help setup setup-tests demo serve test clients browser pictures lint typings api size bench bench-docs bench-service faults fuzz mutants long-life clean flash provision deploy repl logs qualify wipe
