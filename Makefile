# make run is all it takes: the virtual environment, the servers and the tables come by themselves.

VENV := .venv
PYTHON := $(VENV)/bin/python
PROGRAMS := main.py run_production.py load_test.py

# What `make export` and `make import` move; orders, order_details and bills are only exported. Rows that are there already are refused, unless OPTIONS says otherwise, as
# `make import OPTIONS='--on-duplicate update'` does (docs/csv.md).
ENTITY := products
FILE = $(ENTITY).csv
OPTIONS :=
BACKUP := newest

# Where servers are tried as distributions package them, faults for minutes, and bounds of time, is beside:
# tests/README.md has the rule.
BESIDE := servers or chaos or timed

# One more than there are cores: a third of their time, tests wait for timeouts, disks and processes.
TEST_PROCESSES := $(shell expr $$(getconf _NPROCESSORS_ONLN) + 1)

# What `make check` runs; the longest first, because two run at a time.
CHECKS := check-types check-style check-imports

.DEFAULT_GOAL := help
.PHONY: help run demo verify backup restore export import test test-faults test-bytecode check $(CHECKS) format lint lock clean

help: ## List what there is to do
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/'

run: $(VENV)/installed ## Run the shop with its own PostgreSQL and Valkey
	@exec $(PYTHON) main.py

demo: $(VENV)/installed ## Run the shop and load a small catalog with some orders
	@exec $(PYTHON) main.py --demo

verify: $(VENV)/installed ## Prove by SQL that the data keep their promises
	@$(PYTHON) -m scripts.verify

backup: $(VENV)/installed ## Write a backup into .data/backups; OPTIONS=--verify also proves it, OPTIONS=--list shows all
	@$(PYTHON) -m scripts.backup $(OPTIONS)

restore: $(VENV)/installed ## Replace the data by a backup, while the shop does not run: make restore [BACKUP=shop-….dump]
	@$(PYTHON) -m scripts.backup --restore $(BACKUP) $(OPTIONS)

export: $(VENV)/installed ## Write rows to a CSV file: make export ENTITY=orders FILE=orders.csv
	@$(PYTHON) -m scripts.export_csv $(ENTITY) $(FILE) $(OPTIONS)

import: $(VENV)/installed ## Store the rows of a CSV file: make import ENTITY=products FILE=products.csv
	@$(PYTHON) -m scripts.import_csv $(ENTITY) $(FILE) $(OPTIONS)

# Beside the checks, which take one core each for half a minute, the test files are compiled that every process reads.
test: $(VENV)/installed-dev ## Check, then run the tests, with coverage
	@$(MAKE) --no-print-directory -j 2 $(CHECKS) test-bytecode
	$(PYTHON) -m pytest -n $(TEST_PROCESSES) --dist worksteal -m 'not ($(BESIDE))' --cov --cov-report=term --cov-fail-under=90

# A bound of time says nothing while the machine is busy for somebody else: what comes too late is tried again, twice. What
# the late one left open is closed by Python, which warns of it.
test-faults: $(VENV)/installed-dev ## Run the rest of them: servers of the distribution, minutes of faults, bounds of time
	$(PYTHON) -m pytest -n $(TEST_PROCESSES) --dist worksteal -m '($(BESIDE)) and not timed'
	$(PYTHON) -m pytest -n 0 -m timed --reruns 2 --reruns-delay 5 -W ignore::ResourceWarning

# Bytecode comes when a module is imported first; a shell that wants none written would make each start slower, and tests
# start Python some hundred times.
run demo test test-faults test-bytecode: export PYTHONDONTWRITEBYTECODE :=

test-bytecode:
	@$(PYTHON) -m pytest --collect-only -q >/dev/null 2>&1 || true

check: $(VENV)/installed-dev ## Lint, formatting, types, and the direction of imports
	@$(MAKE) --no-print-directory -j 2 $(CHECKS)

check-types:
	$(VENV)/bin/mypy
	$(VENV)/bin/mypy $(PROGRAMS)

check-style:
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .

check-imports:
	PYTHONPATH=. $(VENV)/bin/lint-imports

lint: $(VENV)/installed-dev ## Lint only
	$(VENV)/bin/ruff check .

format: $(VENV)/installed-dev ## Format, and repair what the linter can
	$(VENV)/bin/ruff check --fix .
	$(VENV)/bin/ruff format .

clean: ## Remove what tools made; the shop's data in .data stays
	rm -rf $(VENV) htmlcov .coverage .coverage.* .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -not -path './.data/*' -prune -exec rm -rf {} +

# Every package with its hashes, of what the .txt files name and of what that brings along: to be run after each change of
# those. A version stays as long as nothing asks for another one; OPTIONS=--upgrade takes the newest.
LOCK := $(VENV)/bin/uv pip compile --quiet --universal --generate-hashes --python-version 3.11 --custom-compile-command 'make lock'

lock: $(VENV)/installed-dev ## Write the lock files anew, after a change of requirements.txt and its companions
	$(LOCK) $(OPTIONS) requirements.txt -o requirements.lock
	$(LOCK) $(OPTIONS) -c requirements.lock requirements-dev.txt -o requirements-dev.lock

$(PYTHON):
	@echo 'Making the virtual environment $(VENV)'
	@for python in python3 python3.14 python3.13 python3.12 python3.11; do \
	    if $$python -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	        exec $$python -m venv --without-pip $(VENV); \
	    fi; \
	done; \
	echo 'Python 3.11 or later (with venv) is needed, and neither python3 nor python3.11 to python3.14 is one' >&2; exit 1

$(VENV)/installed: requirements.lock | $(PYTHON)
	@$(PYTHON) scripts/install_packages.py requirements.lock
	@touch $@

$(VENV)/installed-dev: requirements-dev.lock | $(PYTHON)
	@$(PYTHON) scripts/install_packages.py requirements-dev.lock
	@touch $(VENV)/installed $@
