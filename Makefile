# What a person types here. Everything but `test`, `check`, `fit`, `kubeconfig` and `prove` rehearses: it needs Linux and root.
STACK ?= dev
# Another environment with the packages of requirements-dev.txt: make check PYTHON=/path/to/bin/python
PYTHON ?= .venv/bin/python
# The folder of that interpreter, where pip puts the commands of packages.
BIN = $(dir $(shell command -v $(PYTHON)))
REHEARSAL := $(PYTHON) -m rehearsal
RUNNING = .rehearsal/kubectl --kubeconfig .rehearsal/$(STACK)/kubeconfig get nodes,pods --all-namespaces --output json
# A program that fails leaves a coroutine of the SDK behind. When the garbage collector finds it while
# Python parses a file, pytest's report of it parses as well, and Python 3.11 stops with "AST constructor
# recursion depth mismatch".
E2E_PLUGINS := -p no:unraisableexception -p no:hypothesispytest

.PHONY: help venv up preview down fit plan graph schema pins doctor kubeconfig prove test e2e faults check
help: ## this list
	@awk -F ':.*## ' '/^[a-z0-9]+:.*## / {printf "make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo 'STACK=name picks another stack file than Pulumi.dev.yaml'

venv:
	@$(if $(filter .venv/bin/python,$(PYTHON)),sh rehearsal/toolchain/venv.sh,:)

up: venv ## machines, cluster, operator, slices, workloads; again: only what changed (TRACE=1: what took how long)
	@$(REHEARSAL) up --stack $(STACK) $(if $(TRACE),--trace)

preview: venv ## what `make up` would do, without doing it
	@$(REHEARSAL) preview --stack $(STACK)

down: venv ## destroy the stack and take its machines away
	@$(REHEARSAL) down --stack $(STACK)

fit: venv ## do the workloads fit? arithmetic alone (LIVE=1: beside what runs in the rehearsed cluster; SVG=file: drawn)
	@$(if $(LIVE),$(RUNNING) |) $(PYTHON) -m k3sgpu fit --file Pulumi.$(STACK).yaml $(if $(LIVE),--cluster -) $(if $(SVG),--svg $(SVG))

plan: venv ## what a stack would register, and what the policies say; no engine, machines, keys or secrets
	@$(PYTHON) -m k3sgpu plan --file Pulumi.$(STACK).yaml

graph: venv ## docs/graph.md: who waits for whom
	@$(PYTHON) -m k3sgpu graph --file Pulumi.dev.yaml > docs/graph.md.new
	@mv docs/graph.md.new docs/graph.md

schema: venv ## the JSON Schema of stack files, which editors read
	@$(PYTHON) -m k3sgpu schema

pins: venv ## the hashes of a k3s release (VERSION=v1.36.2+k3s1), as lines for the stack file (MIRROR=address)
	@$(PYTHON) -m k3sgpu pins '$(VERSION)' $(if $(MIRROR),--mirror '$(MIRROR)')

doctor: venv ## look at the machines and the cluster
	@$(REHEARSAL) doctor --stack $(STACK)

kubeconfig: venv ## the cluster in your own kubeconfig, under the stack's name (USE=1: and current; REMOVE=1: out again)
	@$(PYTHON) -m k3sgpu kubeconfig --stack $(STACK) $(if $(REMOVE),--remove,--from .rehearsal/$(STACK)/kubeconfig $(if $(USE),--use))

.PHONY: reference
reference: venv ## the generated pages of docs/reference
	@$(PYTHON) -m tools.stack_file_reference
	@$(PYTHON) -m tools.checks_reference

.PHONY: bench
bench: venv ## what it takes, beside what it could take: rehearsal/reports/bench.md (BENCH=a,b: parts; ROUNDS=n; PEER=path)
	@$(PYTHON) -m rehearsal.bench $(if $(BENCH),--parts $(BENCH)) $(if $(ROUNDS),--rounds $(ROUNDS)) $(if $(PEER),--peer $(PEER))

prove: venv ## what this machine's NVIDIA cards really offer, against what the stack file promises
	@$(PYTHON) -m rehearsal.proof --file Pulumi.$(STACK).yaml

test: venv ## every test that needs neither root nor machines
	@$(PYTHON) -m pytest

e2e: venv ## the rehearsal tests, two files beside each other: real engine, SSH, systemd, API server and scheduler
	@$(PYTHON) -m rehearsal.toolchain.toolbox
	@$(PYTHON) -m pytest $(E2E_PLUGINS) -n 2 --dist loadfile --no-loadscope-reorder rehearsal/tests/e2e

faults: venv ## faults under the real engine, and rehearsal/reports/faults.md (FAULTS=all, or names and areas; else a sample)
	@$(PYTHON) -m rehearsal.faults '$(FAULTS)'

check: venv ## ruff, pyright, import-linter, shellcheck
	@$(PYTHON) -m ruff check .
	@$(PYTHON) -m ruff format --check .
	@$(PYTHON) -m pyright
	@$(BIN)lint-imports
	@$(BIN)shellcheck --severity style --shell sh $$(git ls-files '*.sh')
	@$(BIN)shellcheck --severity style .ci/run .ci/stacks .ci/plan-summary

LOCK = $(BIN)uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --custom-compile-command 'make lock'
lock: venv ## resolve requirements*.in into the lock files that pip reads (UPGRADE=1: newest versions of what is not pinned)
	@$(LOCK) $(if $(UPGRADE),--upgrade) requirements.in --output-file requirements.txt
	@$(LOCK) $(if $(UPGRADE),--upgrade) requirements-dev.in --constraint requirements.txt --output-file requirements-dev.txt
	@$(LOCK) $(if $(UPGRADE),--upgrade) policy/requirements.in --output-file policy/requirements.txt
