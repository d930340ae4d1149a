# Two commands and nothing before them: `make run`, `make test`. uv is used where it exists.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV := $(shell command -v uv 2>/dev/null)
WORKERS ?= auto
PROFILE ?= thorough
# The tests wait for servers as long as they compute.
TEST_WORKERS ?= $(shell $(PYTHON) -c 'import os; print(2 * (os.cpu_count() or 1))')
LOAD_VENV := .venv-load
USERS ?= 500
SECONDS ?= 120

# Else every process that a test or a command begins compiles the whole house anew.
unexport PYTHONDONTWRITEBYTECODE

ifdef UV
make_venv = $(UV) venv --quiet --allow-existing --python '>=3.11,<3.15' $(1)
install = $(UV) pip install --quiet --python $(1)/bin/python
else
make_venv = $(PYTHON) -m venv $(1)
install = $(1)/bin/python -m pip install --quiet --disable-pip-version-check
endif

# The one place that names the version of Locust is pyproject.toml.
load_extra = import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["project"]["optional-dependencies"]["load"], sep=chr(10))

.PHONY: help run rehearse test check format bench load faults laws fuzz conformance pooler lock clean

help: ## Show what can be made
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 14

run: $(VENV)/.runs ## Run everything on this machine: http://127.0.0.1:8000
	@$(BIN)/strongroom up

rehearse: $(VENV)/.runs ## Bind and verify a key on each of the eight exchanges (while `make run` runs)
	@$(BIN)/strongroom rehearse

test: $(VENV)/.tests ## Run the tests, with a PostgreSQL and a Valkey of their own
	@$(BIN)/pytest -n $(TEST_WORKERS) $(ARGS)

check: $(VENV)/.tests ## Hold the house rules: format, lint, types, import contracts
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo

format: $(VENV)/.tests ## Format the code and mend what can be mended
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

bench: $(VENV)/.tests ## Measure: ratios to a reference, side by side in one run
	@for file in $(filter-out bench/locustfile.py,$(wildcard bench/[a-z]*.py)); do $(BIN)/python -m "bench.$$(basename $$file .py)" || exit 1; done

load: $(VENV)/.tests $(LOAD_VENV)/.ready ## Let 500 users draw on the house for two minutes, and count the money
	@$(BIN)/python -m bench._load $(LOAD_VENV)/bin/locust $(USERS) $(SECONDS)

faults: $(VENV)/.tests ## Run the long stories: whole houses as processes, killed again and again
	@$(BIN)/pytest -n $(WORKERS) -m slow $(foreach apart,fuzz conformance pooler,--ignore backend/tests/$(apart))

laws: $(VENV)/.tests ## Try every property on many more examples (others each time: PROFILE=exploring)
	@$(BIN)/pytest -n $(WORKERS) -m 'hypothesis and not slow' --hypothesis-profile $(PROFILE)

fuzz: $(VENV)/.tests ## Throw thousands of generated requests at every route (two minutes)
	@$(BIN)/pytest -n $(WORKERS) -m slow --hypothesis-profile $(PROFILE) backend/tests/fuzz

conformance: $(VENV)/.tests ## Let CCXT's own live tests judge all eight sandboxes (three minutes)
	@$(BIN)/pytest -n 2 -m slow backend/tests/conformance

pooler: $(VENV)/.tests ## Run the house through PgBouncer in transaction mode (needs pgbouncer)
	@PATH="$$PATH:/usr/sbin" command -v pgbouncer >/dev/null || \
	  { echo 'pgbouncer is not installed. On Debian: apt-get install pgbouncer' >&2; exit 1; }
	@$(BIN)/pytest -m slow backend/tests/pooler

lock: ## Resolve the requirements anew (needs uv)
	$(UV) pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	  --custom-compile-command 'make lock' --quiet --extra build --extra awskms --extra transit --output-file requirements.txt
	$(UV) pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	  --custom-compile-command 'make lock' --quiet --extra build --extra dev --output-file requirements-dev.txt

clean: ## Remove what was made here, but never the vault in .strongroom
	rm -rf $(VENV) $(LOAD_VENV) .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis .coverage

$(VENV)/.venv:
	@$(call make_venv,$(VENV))
	@touch $@

$(VENV)/.runs: $(VENV)/.venv requirements.txt pyproject.toml
	@echo 'Installing what Strongroom needs (once) ...'
	@$(call install,$(VENV)) --require-hashes -r requirements.txt
	@$(call install,$(VENV)) --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.tests: $(VENV)/.runs requirements-dev.txt
	@echo 'Installing what the tests need (once) ...'
	@$(call install,$(VENV)) --require-hashes -r requirements-dev.txt
	@touch $@

# Locust patches what it runs in, and brings a plugin for pytest: it gets nothing else beside it.
$(LOAD_VENV)/.ready: $(VENV)/.runs
	@echo 'Installing Locust (once) ...'
	@$(call make_venv,$(LOAD_VENV))
	@$(BIN)/python -c '$(load_extra)' > $(LOAD_VENV)/requirements.txt
	@$(call install,$(LOAD_VENV)) -r $(LOAD_VENV)/requirements.txt
	@touch $@
