# An index: `make help`. The work is done by cargo and `cargo xtask` (xtask/).

.DEFAULT_GOAL := help
.PHONY: help run cluster test fmt lint bench codegen docs faults chaos sim crash fuzz soak peers

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: ## build for release and start all services in one process, with a page to try
	cargo run --release --locked --package posthorn -- dev $(ARGS)

cluster: ## install and start the engines and two of each service on this machine
	cargo run --release --locked --package posthorn -- cluster up --dir target/cluster $(ARGS)

test: ## install what the tests need, then run all of them
	cargo xtask test

fmt: ## format the code
	cargo fmt --all

lint: ## formatting, clippy, licenses, documentation, house rules, generated code
	cargo xtask lint

bench: ## durable sends a second, at the store and through WebSockets
	cargo xtask bench $(ARGS)

codegen: ## regenerate the code made from proto/
	cargo xtask codegen

docs: ## regenerate the pages made from code, and build the API documentation
	cargo xtask docs

faults: ## people talk on a cluster while its parts fail: make faults [NAMES=kill-each,stop-nats]
	cargo xtask faults $(NAMES)

chaos: ## faults drawn at random on a cluster: make chaos MINUTES=10 [SEED=n]
	cargo xtask chaos $(or $(MINUTES),10) $(SEED)

sim: ## the deterministic simulation: make sim SEEDS=200 [FROM=1]
	cargo xtask sim $(if $(SEEDS),--seeds $(SEEDS)) $(if $(FROM),--from $(FROM)) $(ARGS)

crash: ## kill the embedded store, cut its power, damage its files: make crash RUNS=500 [FROM=1]
	cargo xtask crash $(if $(RUNS),--runs $(RUNS)) $(if $(FROM),--from $(FROM)) $(ARGS)

fuzz: ## damaged input for every decoder, each for so long: make fuzz [SECONDS=30]
	cargo xtask fuzz $(or $(SECONDS),30)

soak: ## sim, crash, fuzz and chaos in turns, until one finds something: make soak [HOURS=8] [FROM=n]
	cargo xtask soak $(or $(HOURS),8) $(FROM)

peers: ## clients that others wrote against the built server, at length: make peers [EXAMPLES=200]
	cargo xtask peers $(EXAMPLES)
