# The one entry point. A bare `make` lists what there is.
.DEFAULT_GOAL := help
SHELL := /bin/sh

# Where uv is missing it is got into the git-ignored folder, by pip in an environment of its own.
OWN_UV := .stack/uv/bin/uv
UV := $(or $(shell command -v uv),$(OWN_UV))
UV_READY := $(filter $(OWN_UV),$(UV))
STACK := $(UV) run --frozen --no-dev stack

.PHONY: help
help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 16

.PHONY: demo
demo: $(UV_READY) ## start everything, place one order, draw its journey, stay until Ctrl-C
	@$(STACK) demo

.PHONY: up
up: $(UV_READY) ## start everything in the background
	@$(STACK) up

.PHONY: down
down: $(UV_READY) ## stop everything that runs
	@$(STACK) down

.PHONY: status
status: $(UV_READY) ## tell how every part is
	@$(STACK) status

$(OWN_UV):
	@echo "uv is not on the PATH: getting it into .stack/uv with pip"
	@python3 -m venv .stack/uv && .stack/uv/bin/python -m pip install --quiet --disable-pip-version-check 'uv>=0.9' \
		|| { rm -rf .stack/uv; echo "That failed. Get uv with: python3 -m pip install --user uv" >&2; exit 1; }

# The other Python that the instrumentation promises to work on; it is a library for everybody.
OTHER_PYTHON := 3.13

.PHONY: check
check: $(UV_READY) ## lint, format and types
	$(UV) run --frozen ruff check
	$(UV) run --frozen ruff format --check
	$(UV) run --frozen mypy

.PHONY: test
test: check ## all tests, on a stack of their own
	$(UV) run --frozen pytest
	@if $(UV) python find $(OTHER_PYTHON) >/dev/null 2>&1; then \
		UV_PROJECT_ENVIRONMENT=.stack/venv-$(OTHER_PYTHON) $(UV) run --frozen -p $(OTHER_PYTHON) pytest libs/aiokafka-otel; \
	else \
		echo "SKIPPED: libs/aiokafka-otel on Python $(OTHER_PYTHON), which uv does not find on this machine"; \
	fi
