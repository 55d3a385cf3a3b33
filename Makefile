# The one entry point. A bare `make` lists what there is.
.DEFAULT_GOAL := help
SHELL := /bin/sh

.PHONY: help
help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 16
