# fivetuple: what the network did to every API call.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

GO ?= go
TOOL := $(GO) tool -modfile=go.tool.mod
C_FILES := $(wildcard bpf/*.c bpf/*.h bpf/testdata/*.c)
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null)
# All programs are built with the same flags, so that they share what Go has compiled. -v, here and below, prints each package that
# is compiled, because the first time takes minutes.
BUILD := CGO_ENABLED=0 $(GO) build -v -trimpath
FIRST_TIME := the first time takes minutes: Go downloads and compiles all modules
# How long each benchmark runs.
BENCHTIME ?= 1s
# The vulnerability database that `make vulncheck` reads.
VULNDB ?= https://vuln.go.dev

# How many inputs each fuzz target tries.
FUZZ ?= 1000000

.PHONY: help generate build cross demo test conformance evaluate kernels compose-smoke full fuzz bench lint vulncheck fmt clean

help: ## Print this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 15

generate: ## Rebuild the kernel object from bpf/*.c (wants clang-19, llvm-19, libbpf-dev)
	$(GO) generate ./bpf

build: ## Build bin/fivetuple
	@echo "build: bin/fivetuple; $(FIRST_TIME)"
	@$(BUILD) -ldflags "-X main.version=$(VERSION)" -o bin/fivetuple ./runner

demo: build ## Show everything at work, in network namespaces (wants root; ARGS="--pcap FILE --json FILE")
	@echo "build: bin/demo"
	@$(BUILD) -o bin/demo ./examples/demo
	@bin/demo --binary bin/fivetuple $(ARGS)

cross: ## Build and check everything for arm64; the kernel object is the same
	GOARCH=arm64 $(GO) build -v ./...
	GOARCH=arm64 $(GO) build -o /dev/null ./runner # the line before links nothing
	GOARCH=arm64 $(GO) vet -v ./...

# One package at a time: the live tests compare times with the kernel's own. Those of examples/stack take minutes.
test: ## Run all tests (as root: those of the kernel, too)
	$(GO) vet -v ./...
	$(GO) test -count=1 -p 1 -timeout 20m ./...

conformance: build ## Replay the captures of PCAPS=DIR through the kernel program and compare every figure with their oracles (wants root)
	@test -n "$(PCAPS)" || { echo "conformance: name the folder of the captures: make conformance PCAPS=DIR" >&2; exit 2; }
	@echo "build: bin/conformance"
	@$(BUILD) -o bin/conformance ./examples/conformance
	@bin/conformance --binary bin/fivetuple $(ARGS) "$(PCAPS)"

evaluate: build ## Say how well attacks are found, and how rarely ordinary traffic is taken for one: the captures of PCAPS=DIR, live, simulated (wants root; ARGS="--json FILE --only REGEXP")
	@test -n "$(PCAPS)" || { echo "evaluate: name the folder of the captures: make evaluate PCAPS=DIR" >&2; exit 2; }
	@echo "build: bin/evaluate"
	@$(BUILD) -o bin/evaluate ./examples/evaluate
	@bin/evaluate --binary bin/fivetuple $(ARGS) "$(PCAPS)"

kernels: build ## Boot Debian's kernels in qemu and run the checks of the kernel part in each (requires root, qemu-system-x86; PCAPS=DIR; ARGS="-only ^6.1[.] -checks load -full")
	@echo "build: bin/demo, bin/conformance, bin/bpf.test, bin/kernels-guest, bin/kernels"
	@$(BUILD) -o bin/demo ./examples/demo
	@$(BUILD) -o bin/conformance ./examples/conformance
	@$(BUILD) -o bin/kernels-guest ./examples/kernels/guest
	@$(BUILD) -o bin/kernels ./examples/kernels
	@CGO_ENABLED=0 $(GO) test -c -trimpath -o bin/bpf.test ./bpf
	@CGO_ENABLED=0 $(GO) test -c -trimpath -o bin/stack.test ./examples/stack
	@mkdir -p bin/arm64
	@GOARCH=arm64 $(BUILD) -o bin/arm64/fivetuple ./runner
	@GOARCH=arm64 $(BUILD) -o bin/arm64/demo ./examples/demo
	@GOARCH=arm64 $(BUILD) -o bin/arm64/conformance ./examples/conformance
	@GOARCH=arm64 $(BUILD) -o bin/arm64/kernels-guest ./examples/kernels/guest
	@GOARCH=arm64 CGO_ENABLED=0 $(GO) test -c -trimpath -o bin/arm64/bpf.test ./bpf
	@GOARCH=arm64 CGO_ENABLED=0 $(GO) test -c -trimpath -o bin/arm64/stack.test ./examples/stack
	@bin/kernels -pcaps "$(PCAPS)" $(ARGS)

compose-smoke: ## Run the Compose stack by Docker Compose and podman, restart and kill every part, and print how it heals (requires root; ARGS="--rounds 3")
	@echo "build: bin/docker-compose; $(FIRST_TIME)"
	@CGO_ENABLED=0 $(GO) -C examples/compose/tool build -o $(CURDIR)/bin/docker-compose github.com/docker/compose/v5/cmd
	@echo "build: bin/apisix-standin, bin/compose-smoke"
	@$(BUILD) -o bin/apisix-standin ./examples/compose/smoke/standin
	@$(BUILD) -o bin/compose-smoke ./examples/compose/smoke
	@bin/compose-smoke --version "$(VERSION)" $(ARGS)

full: ## Run what takes longer than CI may: a million calls and their like, and three rounds of the Compose stack (requires root)
	FIVETUPLE_FULL=1 FIVETUPLE_DIFFERENTIAL=1000000 FIVETUPLE_REPLIES=1000000 $(GO) test -count=1 -p 1 -timeout 60m ./runner/server ./runner/share ./correlator/store
	$(MAKE) compose-smoke ARGS="--rounds 3"
	$(MAKE) kernels ARGS="-full"

fuzz: ## Try a million malformed frames of each kind on the protocol server, with a bound of memory (FUZZ=1000000)
	for target in FuzzFrame FuzzPrepareConf FuzzHTTPReqCall; do $(GO) test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZ)x ./runner/server; done

bench: ## Print ns per packet, look-up, filter and call, beside an empty program, the library and a plugin that does nothing
	$(GO) test -run '^$$' -bench . -benchmem -benchtime $(BENCHTIME) ./bpf ./correlator ./correlator/store ./correlator/baseline ./correlator/watch ./correlator/signal ./plugins ./runner/server ./runner/report ./examples/stack

lint: ## Run the linters (the first time builds them)
	@echo "lint: golangci-lint; $(FIRST_TIME)"
	$(TOOL) golangci-lint run ./...
	clang-format-19 --dry-run -Werror $(C_FILES)

# Its status 3 means that there are findings; anything else but 0 means that it could not check.
vulncheck: ## Check the modules that are called against Go's vulnerability database (requires a network that reaches VULNDB)
	@echo "vulncheck: govulncheck; $(FIRST_TIME)"
	@$(TOOL) govulncheck -db "$(VULNDB)" ./... || { status=$$?; [ $$status -eq 3 ] || \
		echo "vulncheck: nothing was checked: is $(VULNDB) reachable? name a copy by VULNDB=file:///DIR" >&2; exit $$status; }

fmt: ## Format Go and C
	$(TOOL) golangci-lint fmt ./...
	clang-format-19 -i $(C_FILES)

clean: ## Remove what was built
	rm -rf bin
