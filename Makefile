SHELL := /bin/bash
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.stamp
export PYTHON MODEL
# Python keeps what it has compiled, whatever the environment says: a process that compiles it anew starts four times slower.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := setup
.PHONY: setup demo test test-multihost test-fast check format bench chaos chaos-mutations lock init engine engine-stop image models compose-images clean help

setup: $(STAMP) ## make .venv with everything a developer needs (the default)

$(STAMP): pyproject.toml requirements.lock
	@scripts/setup.sh

demo: setup ## run examples/quickstart, setting up all it needs; MODEL=sim/arithmetic takes another model
	@scripts/demo.sh

test: setup ## the whole suite, setting up Docker and Redis too; ARGS="-k word" goes to pytest
	@scripts/with_servers.sh $(BIN)/python -m pytest -n 4 --dist loadfile --no-loadscope-reorder $(ARGS)

test-multihost: setup ## three hosts on this machine: networks, engines and paths of their own (as root)
	@scripts/with_servers.sh $(BIN)/python -m pytest tests/multihost $(ARGS)

test-fast: setup ## the tests that need no server
	@$(BIN)/python -m pytest tests/unit tests/contracts -m "not docker and not redis and not model" $(ARGS)

check: setup ## lint, format and types
	@code=0; \
	$(BIN)/ruff check . || code=1; \
	$(BIN)/ruff format --check . || code=1; \
	$(BIN)/mypy || code=1; \
	exit $$code

format: setup ## put the code into its standard form
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

bench: setup ## measure, and write docs/benchmarks.md (as root); ARGS="hosts scaling" renews those alone
	@scripts/with_servers.sh $(BIN)/python -m benchmarks $(ARGS)

chaos: setup ## break things on purpose, hours of it, and write docs/reliability.md (as root); ARGS="--rows 1,9" runs those alone
	@scripts/faketime.sh
	@scripts/with_servers.sh $(BIN)/scaffoldry selftest --out docs/reliability.md $(ARGS)

chaos-mutations: setup ## switch off each mechanism that chaos is about, and see that its rows fail; ARGS="--seeds 1"
	@scripts/faketime.sh
	@scripts/with_servers.sh $(BIN)/scaffoldry selftest --mutate all --out docs/reliability.md $(ARGS)

lock: ## remake requirements.lock from pyproject.toml
	@scripts/lock.sh

init: setup ## make .env and the broker's users, for docker-compose up; SCAFFOLDRY_DATA_DIR=/lab/experiments names the volume
	@scripts/init.sh

engine: ## start a Docker engine if none answers
	@scripts/engine.sh start

engine-stop: ## stop the Docker engine that was started here, and no other
	@scripts/engine.sh stop

image: setup engine ## build the sandbox image
	@$(BIN)/scaffoldry image build

models: setup ## fetch the weights of local/smollm2
	@$(BIN)/scaffoldry models pull local/smollm2

compose-images: image ## build the images of docker-compose.yml: the services', and the sandbox's
	@scripts/compose_images.sh

clean: ## remove what make and the tests have built; experiments stay
	@rm -rf .venv build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
	@find . -name __pycache__ -type d -not -path './.git/*' -prune -exec rm -rf {} +

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
