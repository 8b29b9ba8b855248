# The two commands of the README, and the gate. Everything they make stays in .venv.
#
#   make run     a gateway on 127.0.0.1:2525
#   make test    the whole test suite
#   make gate    formatting, lint, types, spelling, dead code
#   make oldest  the tests but for those with real programs, on the oldest Twisted that setup.cfg allows
#   make fuzz    the fuzzer, SECONDS=600 for all targets together; what it finds is kept in tests/fuzz/corpus
#   make rfcs    docs/rfc-support.rst, anew
#   make clean   takes all of it away again

PYTHON ?= python3
VENV ?= .venv
PORT ?= 2525
SECONDS ?= 600
TESTS ?= tests

BIN := $(VENV)/bin
MADE_FROM := setup.cfg setup.py smtpgw/version.py
INSTALL := $(BIN)/python -m pip --disable-pip-version-check install --quiet --use-pep517

OLDEST := $(shell sed -n 's/^ *Twisted\[tls\] >= *//p' setup.cfg)
ROOMS := $(sort $(patsubst tests/%/__init__.py,tests.%,$(filter-out tests/integration/%,$(wildcard tests/*/__init__.py))))

.PHONY: run test gate oldest fuzz rfcs clean
.DEFAULT_GOAL := help

.PHONY: help
help:
	@echo "make run    starts a gateway on 127.0.0.1:$(PORT)"
	@echo "make test   runs the whole test suite"
	@echo "make gate   checks formatting, lint, types, spelling, dead code"
	@echo "make clean  removes what the others have made"

run: $(VENV)/.installed
	@echo "Starting smtpgw on 127.0.0.1:$(PORT); Ctrl-C ends it."
	@exec $(BIN)/twistd -n --pidfile= smtpgw --port $(PORT)

test: $(VENV)/.installed-test
	@echo "Running the tests."
	@$(BIN)/python -b -m twisted.trial $(TESTS)

gate: $(VENV)/.installed-gate
	@$(BIN)/python tests/gate.py $(GATE)

oldest:
	@$(MAKE) --no-print-directory VENV=.venv-oldest .venv-oldest/.installed-test
	@.venv-oldest/bin/python -m pip --disable-pip-version-check install --quiet 'Twisted[tls]==$(OLDEST)'
	@echo "Running the tests on Twisted $(OLDEST)."
	@.venv-oldest/bin/python -b -m twisted.trial --reporter=summary $(ROOMS)

fuzz: $(VENV)/.installed-fuzz
	@$(BIN)/python -m tests.fuzz.run --seconds $(SECONDS) $(TARGETS)

rfcs: $(VENV)/.installed
	@$(BIN)/python docs/rfc_support.py

# The stamps: an installation is made anew when what describes it has changed.
$(VENV)/.installed: $(VENV)/.made $(MADE_FROM)
	@echo "Installing smtpgw and what it needs into $(VENV)."
	@$(INSTALL) --editable .
	@touch $@

$(VENV)/.installed-test: $(VENV)/.installed
	@echo "Installing what the tests need."
	@$(INSTALL) --editable '.[test]'
	@touch $@

$(VENV)/.installed-gate: $(VENV)/.installed
	@echo "Installing what the gate needs."
	@$(INSTALL) --editable '.[test,gate]'
	@touch $@

$(VENV)/.installed-fuzz: $(VENV)/.installed
	@echo "Installing the fuzzer."
	@$(INSTALL) --editable '.[test,fuzz]'
	@touch $@

$(VENV)/.made:
	@command -v $(PYTHON) >/dev/null || { echo "smtpgw needs Python 3.11 or newer; there is no $(PYTHON)." >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	    echo "smtpgw needs Python 3.11 or newer; $(PYTHON) is `$(PYTHON) -V 2>&1`. Try: make PYTHON=python3.12 run" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	    echo "$(PYTHON) can't make virtual environments; on Debian: apt-get install python3-venv" >&2; exit 1; }
	@echo "Making a virtual environment in $(VENV)."
	@$(PYTHON) -m venv $(VENV)
	@touch $@

clean:
	rm -rf $(VENV) .venv-oldest build dist *.egg-info _trial_temp* .mypy_cache .ruff_cache .import_linter_cache .hypothesis .coverage
	rm -f twisted/plugins/dropin.cache
	find smtpgw twisted tests docs benchmarks -name __pycache__ -prune -exec rm -rf {} +
