# Commands for developers. `up`, `preview`, `down`, `doctor`, `e2e`, `faults`, `bench`, `prove` and `bundle` run or pack
# the rehearsal: they need Linux and root.
STACK ?= dev
# Another environment with the packages of requirements-dev.txt: make check PYTHON=/path/to/bin/python
PYTHON ?= .venv/bin/python
# The folder of that interpreter, where pip puts the commands of packages.
BIN = $(dir $(shell command -v $(PYTHON)))
REHEARSAL := $(PYTHON) -m rehearsal
RUNNING = .rehearsal/kubectl --kubeconfig .rehearsal/$(STACK)/kubeconfig get nodes,pods --all-namespaces --output json
# What `make e2e` runs: a folder, a file, or a file with options of pytest.
E2E ?= rehearsal/tests/e2e
# A Pulumi program that fails leaves an unawaited coroutine of the SDK. If the garbage collector finds it while Python
# parses a file, pytest's plugin parses too, and Python 3.11 stops with "AST constructor recursion depth mismatch".
E2E_PLUGINS := -p no:unraisableexception -p no:hypothesispytest

.PHONY: help venv up preview down new fit plan graph schema pins doctor kubeconfig prove bundle suffers test e2e e2e-large faults check
help: ## this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo 'STACK=name picks another stack file than Pulumi.dev.yaml'

venv:
	@$(if $(filter .venv/bin/python,$(PYTHON)),sh rehearsal/toolchain/venv.sh,:)

up: venv ## boot the machines, run the program on them, report; again: apply only what changed (TRACE=1: show what took how long; KUBELETS=real: kubelets and containers are real)
	@$(REHEARSAL) up --stack $(STACK) $(if $(TRACE),--trace) $(if $(KUBELETS),--kubelets $(KUBELETS))

preview: venv ## show what `make up` would do (KUBELETS=real)
	@$(REHEARSAL) preview --stack $(STACK) $(if $(KUBELETS),--kubelets $(KUBELETS))

down: venv ## destroy the stack and remove its machines (ALL=1: the machines of every stack and of killed test runs, without a destroy)
	@$(REHEARSAL) down --stack $(STACK) $(if $(ALL),--all)

new: venv ## look at machines and write Pulumi.STACK.yaml for them (STACK=lab HOSTS="10.0.0.11 ubuntu@10.0.0.21"; FROM=inventory; OPTIONS="--slices 4")
	@$(PYTHON) -m k3sgpu new '$(STACK)' $(HOSTS) $(if $(FROM),--from '$(FROM)') $(OPTIONS)

fit: venv ## say whether the workloads fit, by arithmetic only (LIVE=1: count what runs in the rehearsed cluster; SVG=file: draw it)
	@$(if $(LIVE),$(RUNNING) |) $(PYTHON) -m k3sgpu fit --file Pulumi.$(STACK).yaml $(if $(LIVE),--cluster -) $(if $(SVG),--svg $(SVG))

plan: venv ## list every resource, and what the policies say; needs no engine, machines, keys or secrets
	@$(PYTHON) -m k3sgpu plan --file Pulumi.$(STACK).yaml

graph: venv ## write docs/graph.md: every resource and its dependencies
	@$(PYTHON) -m k3sgpu graph --file Pulumi.dev.yaml > docs/graph.md.new
	@mv docs/graph.md.new docs/graph.md

schema: venv ## write the JSON Schema of stack files
	@$(PYTHON) -m k3sgpu schema

pins: venv ## print the hashes of a k3s release as lines for the stack file (VERSION=v1.36.2+k3s1; MIRROR=address)
	@$(PYTHON) -m k3sgpu pins '$(VERSION)' $(if $(MIRROR),--mirror '$(MIRROR)')

doctor: venv ## check the machines and the cluster
	@$(REHEARSAL) doctor --stack $(STACK)

kubeconfig: venv ## merge the cluster into your kubeconfig, under the stack's name (USE=1: make it current; REMOVE=1: take it out)
	@$(PYTHON) -m k3sgpu kubeconfig --stack $(STACK) $(if $(REMOVE),--remove,--from .rehearsal/$(STACK)/kubeconfig $(if $(USE),--use))

.PHONY: reference
reference: venv ## write the generated pages of docs/reference: stack file, checks, team permissions
	@$(PYTHON) -m tools.stack_file_reference
	@$(PYTHON) -m tools.checks_reference
	@$(PYTHON) -m tools.team_permissions_reference

.PHONY: bench
bench: venv ## measure against baselines, and write rehearsal/reports/bench.md (BENCH=b,f: parts; ROUNDS=n; PEER=name=path,…; NODES=n: of part c)
	@$(PYTHON) -m rehearsal.bench $(if $(BENCH),--parts $(BENCH)) $(if $(ROUNDS),--rounds $(ROUNDS)) $(if $(PEER),--peers $(PEER)) $(if $(NODES),--nodes $(NODES))

prove: venv ## on a machine with an NVIDIA card: walk through the article on it, and write rehearsal/reports/proof.md (FILE=stack file; SIMULATED=1: without a card)
	@$(PYTHON) -m rehearsal.proof $(if $(FILE),--file $(FILE)) $(if $(SIMULATED),--simulated)

bundle: venv ## write to .bundle what `make prove` needs on a machine without network: pieces of at most 57 MiB, and run.sh
	@$(PYTHON) -m rehearsal.proof.bundle

suffers: venv ## measure on this machine's NVIDIA card who suffers beside a misbehaving program (FROM=file: of another machine)
	@$(PYTHON) -m rehearsal.proof.who_suffers_report $(if $(FROM),--from $(FROM))

test: venv ## run every test that needs neither root nor machines
	@$(PYTHON) -m pytest -n auto

e2e: venv ## run the rehearsal tests: real engine, SSH, systemd, API server and scheduler (E2E=file: only these)
	@$(PYTHON) -m rehearsal.toolchain.toolbox
	@$(PYTHON) -m pytest $(E2E_PLUGINS) --timeout 2400 -n 2 --dist loadfile --no-loadscope-reorder $(E2E)

e2e-large: venv ## a hundred machines from `up` to destroy, and write rehearsal/reports/large.md (AGENTS=n; SERVERS=n)
	@$(PYTHON) -m rehearsal.large $(if $(AGENTS),--agents $(AGENTS)) $(if $(SERVERS),--servers $(SERVERS))

faults: venv ## inject faults, and write rehearsal/reports/faults.md: a sample; FAULTS=all; or FAULTS=name,area
	@$(PYTHON) -m rehearsal.faults '$(FAULTS)'

.PHONY: guarantees
guarantees: venv ## random teams before the real scheduler, and write rehearsal/reports/guarantees.md (CASES=500)
	@$(PYTHON) -m rehearsal.guarantees $(if $(CASES),--cases $(CASES))

check: venv ## run the linters, the type checker and the import rules
	@$(PYTHON) -m ruff check .
	@$(PYTHON) -m ruff format --check .
	@$(PYTHON) -m pyright
	@$(BIN)lint-imports
	@$(BIN)shellcheck --severity style --shell sh $$(git ls-files '*.sh')
	@$(BIN)shellcheck --severity style .ci/run .ci/stacks .ci/plan-summary

LOCK = $(BIN)uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --custom-compile-command 'make lock'
lock: venv ## resolve requirements*.in into lock files with hashes (UPGRADE=1: take the newest versions of what is not pinned)
	@$(LOCK) $(if $(UPGRADE),--upgrade) requirements.in --output-file requirements.txt
	@$(LOCK) $(if $(UPGRADE),--upgrade) requirements-dev.in --constraint requirements.txt --output-file requirements-dev.txt
	@$(LOCK) $(if $(UPGRADE),--upgrade) policy/requirements.in --output-file policy/requirements.txt
