# The one entry point. A bare `make` lists what there is.
.DEFAULT_GOAL := help
SHELL := /bin/sh

UV ?= uv

.PHONY: help
help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 16

# The other Python that the instrumentation promises to work on; it is a library for everybody.
OTHER_PYTHON := 3.13

.PHONY: check
check: ## lint, format and types
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
