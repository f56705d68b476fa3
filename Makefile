# What a developer types. Everything is installed into the project: .venv, node_modules beside each package.json, data in
# .local, what is deployed in .build.
PYTHON ?= python3.12
NODE_MAJOR := 20

venv := .venv
python := $(venv)/bin/python
# Beside the newest version of a client: the major version before it, alone.
older := .venv-older
requirements := infra/requirements
functions := $(patsubst functions/%/app.py,%,$(wildcard functions/*/app.py))
groups := $(functions) otel container local test older_clients deploy
# Of the functions on AWS; the tests of the artefacts run what they built, so they build for this machine.
ARCHITECTURE ?= arm64
this_architecture := $(subst aarch64,arm64,$(shell uname -m))
install := pip install --quiet --quiet --disable-pip-version-check --no-input --require-hashes
pip := $(python) -m $(install)
npm := npm ci --no-audit --no-fund --loglevel=error

.PHONY: clients contract-table describe
.PHONY: dev test chaos check package package-lambda package-vercel test-deploy clean-local lock help
.DEFAULT_GOAL := help

help:
	@echo "make dev          run the whole gateway on this machine (PORT=8000)"
	@echo "make test         run all tests but those of the built artefacts"
	@echo "make contract-table   ask with every official client, and write the table of docs/api.md"
	@echo "make describe     write openapi.json and the tables of docs/ from the code"
	@echo "make chaos        hang up, kill, lose answers under load, then check the books (ARGS='kills --count 200')"
	@echo "make check        format, lint, types, imports, migrations"
	@echo "make package      build what is deployed: Lambda zips (ARCHITECTURE=arm64) and Vercel bundles"
	@echo "make test-deploy  build it for this machine and test it as the platforms would run it"
	@echo "make clean-local  delete the local stack's data"
	@echo "make lock         lock the dependency groups of pyproject.toml again (UPGRADE=--upgrade for newer ones)"

dev: $(venv)/.installed-local infra/local/node_modules/.installed
	@exec $(python) -m infra.local dev

test: clients
	@exec $(python) -m pytest --ignore=tests/deploy $(ARGS)

contract-table: clients
	@exec $(python) -m pytest tests/contract --write-contract-table $(ARGS)

describe: $(venv)/.installed-test
	@exec $(python) -m infra.describe $(ARGS)

chaos: $(venv)/.installed-test infra/local/node_modules/.installed
	@exec $(python) -m tests.chaos $(ARGS)

check: $(venv)/.installed-deploy infra/local/node_modules/.installed
	@echo "format" && $(python) -m ruff format --check --quiet .
	@echo "lint" && $(python) -m ruff check --quiet .
	@echo "types" && $(python) -m mypy
	@echo "imports" && $(venv)/bin/python -c "from importlinter.cli import lint_imports_command; lint_imports_command()" --no-logo
	@echo "what is written from the code" && $(python) -m infra.describe --check
	@echo "environment and SQL" && $(python) -m infra.local.check

package: package-lambda package-vercel

package-lambda: $(venv)/.installed-deploy infra/deploy/node_modules/.installed
	@$(python) -m infra.package --architecture $(ARCHITECTURE)

package-vercel: $(venv)/.installed-deploy infra/deploy/node_modules/.installed
	@$(python) -m infra.vercel_build

test-deploy: ARCHITECTURE := $(this_architecture)
test-deploy: package infra/local/node_modules/.installed
	@exec $(python) -m pytest $(or $(ARGS),tests/deploy)

clean-local:
	@if [ -x $(python) ] && [ -e $(venv)/.installed-local ]; then $(python) -m infra.local clean; else rm -rf .local; fi

clients: $(venv)/.installed-test $(older)/.installed infra/local/node_modules/.installed \
	tests/contract/node_modules/.installed

# --- installing ---------------------------------------------------------------------------------------------------

$(venv)/.made:
	@command -v $(PYTHON) >/dev/null 2>&1 && $(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 12))' \
		|| { echo "Python 3.12 is needed and '$(PYTHON)' is not it; install it or give its path: make PYTHON=/path/to/python3.12" >&2; exit 1; }
	@echo "making .venv"
	@$(PYTHON) -m venv --clear $(venv)
	@touch $@

$(venv)/.installed-local: $(requirements)/local.txt $(venv)/.made
	@echo "installing the Python packages of the local stack"
	@$(pip) -r $<
	@touch $@

# Each of these holds everything of the one before, so that nothing is installed twice.
$(venv)/.installed-test: $(requirements)/test.txt $(venv)/.made
	@echo "installing the Python packages of the tests"
	@$(pip) -r $<
	@touch $@ $(venv)/.installed-local

$(older)/.installed: $(requirements)/older_clients.txt $(venv)/.made
	@echo "installing the older clients that the tests ask with"
	@$(python) -m venv --clear $(older)
	@$(older)/bin/python -m $(install) -r $<
	@touch $@

$(venv)/.installed-deploy: $(requirements)/deploy.txt $(venv)/.made
	@echo "installing the Python packages that build and test the artefacts"
	@$(pip) -r $<
	@touch $@ $(venv)/.installed-test $(venv)/.installed-local

%/node_modules/.installed: %/package-lock.json
	@command -v node >/dev/null 2>&1 && command -v npm >/dev/null 2>&1 \
		|| { echo "Node $(NODE_MAJOR) or newer with npm is needed and was not found" >&2; exit 1; }
	@node -e 'process.exit(+(parseInt(process.versions.node) < $(NODE_MAJOR)))' \
		|| { echo "Node $(NODE_MAJOR) or newer is needed, this is $$(node --version)" >&2; exit 1; }
	@echo "installing the npm packages of $*"
	@cd $* && $(npm) >/dev/null
	@touch $@

# --- locking ------------------------------------------------------------------------------------------------------

# The widest lock first: it holds every group but the older clients, so the others take their versions from it.
lock: $(venv)/.made
	@$(python) -m pip install --quiet --quiet --disable-pip-version-check uv
	@mkdir -p $(requirements)
	@for group in deploy $(filter-out deploy,$(groups)); do \
		echo "locking $$group"; \
		case $$group in \
			deploy|older_clients) constraint= ;; \
			*) constraint="--constraints $(requirements)/deploy.txt" ;; \
		esac; \
		$(python) -m uv pip compile --quiet --no-config --universal --python-version 3.12 --generate-hashes \
			--no-emit-index-url --no-annotate --custom-compile-command "make lock" $(UPGRADE) $$constraint \
			--group $$group pyproject.toml --output-file $(requirements)/$$group.txt >/dev/null || exit 1; \
	done
