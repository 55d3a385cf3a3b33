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
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "%-16s%s\n", $$1, $$2}' $(MAKEFILE_LIST)

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

.PHONY: order
order: $(UV_READY) ## place one order with the system that runs, and draw its journey
	@$(STACK) order

.PHONY: lag
lag: $(UV_READY) ## tell how far billing and notifier are behind, and who reads
	@$(STACK) run -- eventbus lag

.PHONY: dlq
dlq: $(UV_READY) ## list the dead letters; DO="show --all", DO="redrive --all", DO=--help do more
	@$(STACK) run -- eventbus dlq $(or $(DO),list)

.PHONY: compose-up
compose-up: $(UV_READY) ## the system in containers: build, start, one order, its journey, the links
	docker compose up --detach --build --wait
	@$(STACK) order
	@echo "  the e-mails http://127.0.0.1:$${MAIL_PORT:-8025}"

.PHONY: compose-down
compose-down: ## stop and remove the containers; what is stored stays
	docker compose --profile '*' down

$(OWN_UV):
	@echo "uv is not on the PATH: getting it into .stack/uv with pip"
	@python3 -m venv .stack/uv && .stack/uv/bin/python -m pip install --quiet --disable-pip-version-check 'uv>=0.9' \
		|| { rm -rf .stack/uv; echo "That failed (on Debian: apt install python3-venv). Or install uv: https://docs.astral.sh/uv/" >&2; exit 1; }

# The instrumentation is a library for everybody: it is tested on the oldest and on a new Python too.
PYTHONS := 3.11 3.13

.PHONY: check
check: $(UV_READY) ## lint, format and types
	$(UV) run --frozen ruff check
	$(UV) run --frozen ruff format --check
	$(UV) run --frozen mypy
	$(UV) run --frozen lint-imports

.PHONY: test
test: MARKED := not long
test: check ## the tests, on stacks of their own: ten minutes once all is built
.PHONY: test-long
test-long: MARKED := long
test-long: check test-pythons ## the others: outages, kills, thousands of orders, the gallery, the walkthrough: fifteen minutes

test test-long:
	@# The Collector is built meanwhile: the first test that needs it comes late, if files keep their order. Many tests wait
	@# more than they work, so two are run at a time, each file's in one process with a stack of its own.
	@nice -n 19 $(UV) run --frozen stack fetch collector >/dev/null & building=$$!; \
	trap 'kill $$building 2>/dev/null' INT TERM HUP; \
	$(UV) run --frozen pytest -n 2 --dist loadfile --no-loadscope-reorder -m "$(MARKED)"; code=$$?; \
	kill $$building 2>/dev/null; wait $$building; exit $$code

.PHONY: test-pythons
test-pythons: $(UV_READY) ## the tests of libs/aiokafka-otel on the other Pythons that uv finds
	@for version in $(PYTHONS); do \
		if .venv/bin/python -c "import sys; sys.exit(sys.version_info[:2] != tuple(map(int, '$$version'.split('.'))))"; then \
			continue; \
		elif $(UV) python find --no-python-downloads $$version >/dev/null 2>&1; then \
			echo "libs/aiokafka-otel on Python $$version:"; \
			UV_PROJECT_ENVIRONMENT=.stack/venv-$$version $(UV) run --frozen -p $$version pytest libs/aiokafka-otel -m "not own_environment" || exit 1; \
		else \
			echo "SKIPPED: libs/aiokafka-otel on Python $$version, which uv does not find on this machine"; \
		fi; \
	done

# Variables: CHAOS_SEED, CHAOS_SECONDS, CHAOS_FAULTS (all, kills, or names), CHAOS_KILLS, CHAOS_RATE, STACK_DATABASE, STACK_REPLICAS.
.PHONY: chaos
chaos: $(UV_READY) ## faults under load on a stack of its own, ten minutes at most: what becomes of the orders
	@$(UV) run --frozen python -m tests.chaos

# Variables: BENCH_CANDIDATES (comparison, ladder, growth, all, or names), BENCH_ROUNDS, BENCH_SHORT=1 (two minutes), BENCH_ORDERS,
# BENCH_SECONDS, BENCH_FAST_SECONDS, BENCH_SOAK (orders), BENCH_OTHER (another checkout), BENCH_PAGE.
.PHONY: bench
bench: $(UV_READY) ## the same chain as others build it, side by side, into docs/numbers.md: forty minutes
	@$(UV) run --frozen python -m bench

.PHONY: gallery
gallery: $(UV_READY) ## run the ways in which a trace breaks, each on the real stack, and write docs/gallery.md
	@$(UV) run --frozen python -m gallery --write

.PHONY: attributes
attributes: $(UV_READY) ## docs/attributes.md anew, from what the libraries declare
	@$(UV) run --frozen python -m tests.attributes

.PHONY: walkthrough
walkthrough: $(UV_READY) ## docs/walkthrough.md anew, its outputs, pictures and links to code; needs Chromium
	@$(UV) run --frozen python -m tests.walkthrough

# A project of its own on ports of its own, so that no demo is in the way and none is lost.
test-compose: export COMPOSE_PROJECT_NAME := one-order-one-trace-test
test-compose: export ORDERS_PORT := 18080
test-compose: export ZIPKIN_PORT := 19411
test-compose: export KAFKA_PORT := 19092
test-compose: export OTLP_GRPC_PORT := 14317
test-compose: export OTLP_HTTP_PORT := 14318
test-compose: export MAIL_PORT := 18025
.PHONY: test-compose
test-compose: $(UV_READY) ## the end-to-end tests on the containers; skipped where there is no Docker engine
	@if docker compose version >/dev/null 2>&1 && docker version >/dev/null 2>&1; then \
		trap 'docker compose --profile "*" down --volumes' EXIT; trap 'exit 130' INT TERM; \
		docker compose up --detach --build --wait && E2E_SYSTEM=compose $(UV) run --frozen pytest tests/e2e; \
	else \
		echo "SKIPPED: the tests on containers; no Docker engine with Compose answers on this machine"; \
	fi
