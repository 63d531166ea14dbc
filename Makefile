# Everything a developer and CI run. `make help` lists it.
#
# Needs Go and make. What else a target wants it builds from the modules under
# tools/, or says what is missing.

SHELL := /bin/sh
.SHELLFLAGS := -euc
.DELETE_ON_ERROR:
.SUFFIXES:
MAKEFLAGS += --no-builtin-rules --warn-undefined-variables
.DEFAULT_GOAL := help

GO ?= go
BIN := $(CURDIR)/.bin

# The modules of the repository that everybody needs; the first is what users import.
# deploy/check and tools/release have gigabytes of dependencies, and are looked over
# by the targets that use them.
MODULES := . bench tools/bench tools/buf tools/gen tools/lint

# auto: the race detector if it can be built here. on: fail without it. off: without.
RACE ?= auto
# More flags for go test, for instance TESTFLAGS='-shuffle=on -count=1'.
TESTFLAGS ?=
# Which benchmarks run, and for how long.
BENCH ?= .
BENCHTIME ?= 1s
# Flags of the comparison, for instance COMPARE='-run pairs/ -rounds 3'.
COMPARE ?=
# Flags of the overload, for instance OVERLOAD='-only sessions'.
OVERLOAD ?=
# How long each fuzz target runs, or how many inputs it tries (2000x).
FUZZTIME ?= 5s
# How long three servers are tormented, by how many faults of each kind at least, and
# what chance begins with (0 draws it). VERIFY has more flags, for instance -only killed.
DURATION ?= 1m
ROUNDS ?= 1
SEED ?= 0
VERIFY ?=
# What `make cross` builds and vets.
PLATFORMS := linux/amd64 linux/arm64 darwin/arm64 windows/amd64 freebsd/amd64

.PHONY: help
help: ## Show this list.
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  %-16s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

.PHONY: build
build: ## Build the programs into .bin/.
	$(GO) build -trimpath -o $(BIN)/ ./cmd/...

.PHONY: test
test: ## Run all tests, with the race detector where it works.
	@./scripts/test.sh $(RACE) $(TESTFLAGS)

.PHONY: examples
examples: ## Run the examples, which prove what they say.
	$(GO) test -count=1 -v ./examples

.PHONY: cover
cover: ## Run all tests and write cover.html.
	$(GO) test -coverprofile=cover.out -coverpkg=./... $(TESTFLAGS) ./...
	$(GO) tool cover -html=cover.out -o cover.html
	@$(GO) tool cover -func=cover.out | tail -n 1

.PHONY: bench
bench: ## Run the benchmarks of the parts and of bare carriers (BENCH, BENCHTIME).
	$(GO) test -run='^$$' -bench='$(BENCH)' -benchtime=$(BENCHTIME) -benchmem ./...
	$(GO) -C bench test -run='^$$' -bench='$(BENCH)' -benchtime=$(BENCHTIME) -benchmem ./...

.PHONY: compare
compare: ## Measure beside Redis and bare echoes, and print a table (COMPARE: flags).
	@$(GO) run -C bench ./cmd/compare $(COMPARE)

.PHONY: compare-cluster
compare-cluster: ## Measure three members beside three of etcd, and print a table (COMPARE: flags).
	@$(GO) run -C bench ./cmd/compare -cluster $(COMPARE)

.PHONY: test-bench
test-bench: ## Try the comparison and its parts, at the smallest size.
	$(GO) -C bench test $(TESTFLAGS) ./...

.PHONY: fuzz
fuzz: ## Run every fuzz target for a moment (FUZZTIME).
	@./scripts/fuzz.sh $(FUZZTIME)

.PHONY: overload
overload: ## Put a server under too much load, in many ways, and print a table (OVERLOAD: flags).
	@$(GO) run ./internal/overload $(OVERLOAD)

.PHONY: e2e
e2e: examples verify ## All that is tried with programs as they are: the examples, and three servers under faults.

.PHONY: demo
demo: build ## A server to try things with, until Ctrl-C.
	$(BIN)/ldlm dev

# Needs vuln.go.dev, which not every machine reaches; so it is run by hand.
.PHONY: vuln
vuln: ## Look for known weaknesses in what is used (needs vuln.go.dev).
	$(GO) run golang.org/x/vuln/cmd/govulncheck@v1.9.0 ./...

.PHONY: faults
faults: ## Break the table on purpose, many ways, and see the tests fail.
	$(GO) run ./internal/lock/faults

.PHONY: verify
verify: build ## Three servers under faults, judged by what clients see (DURATION, ROUNDS, SEED, VERIFY).
	$(GO) build -trimpath -o $(BIN)/ ./internal/verify
	$(BIN)/verify -ldlm $(BIN)/ldlm -duration $(DURATION) -rounds $(ROUNDS) -seed $(SEED) $(VERIFY)

.PHONY: cross
cross: ## Build and vet for every platform (PLATFORMS).
	@set -e; for p in $(PLATFORMS); do \
		echo "$$p"; \
		CGO_ENABLED=0 GOOS=$${p%/*} GOARCH=$${p#*/} $(GO) build ./...; \
		CGO_ENABLED=0 GOOS=$${p%/*} GOARCH=$${p#*/} $(GO) vet ./...; \
	done

.PHONY: dist
dist: ## Build static programs for every platform into dist/ (PLATFORMS of scripts/dist.sh).
	@./scripts/dist.sh dist

.PHONY: reproducible
reproducible: ## Build twice, in two places, and compare (linux and windows).
	@./scripts/reproducible.sh linux/amd64 windows/arm64

.PHONY: units
units: build ## Look over the units of systemd.
	@./scripts/check-units.sh $(BIN)

.PHONY: deploy-check
deploy-check: units ## Look over everything in deploy/: units, Dockerfile, manifests, chart.
	$(GO) -C deploy/check mod tidy -diff
	LDLM_PROGRAMS=$(BIN) $(GO) -C deploy/check test $(TESTFLAGS) ./...

.PHONY: release-check
release-check: $(BIN)/goreleaser ## Look over what a release is made by.
	$(GO) -C tools/release mod tidy -diff
	$(BIN)/goreleaser check

.PHONY: release-snapshot
release-snapshot: $(BIN)/goreleaser ## Build all of a release into dist/, packages too, and publish nothing.
	$(BIN)/goreleaser release --snapshot --clean --skip=sbom,sign

.PHONY: lint
lint: $(BIN)/golangci-lint $(BIN)/buf ## Check the code and the wire.
	$(BIN)/golangci-lint run ./...
	cd bench && $(BIN)/golangci-lint run --config=../.golangci.yml ./...
	$(BIN)/buf lint
	$(BIN)/buf breaking --against api/baseline.binpb

.PHONY: fmt
fmt: ## Format the code.
	gofmt -w .

.PHONY: tidy-check
tidy-check: ## Fail on unformatted code and on go.mod files that are not tidy.
	@bad=$$(gofmt -l .); \
		if [ -n "$$bad" ]; then echo "not formatted, run make fmt:"; echo "$$bad"; exit 1; fi
	@set -e; for m in $(MODULES); do echo "tidy $$m"; $(GO) -C $$m mod tidy -diff; done

.PHONY: gen
gen: $(BIN)/buf $(BIN)/protoc-gen-go $(BIN)/protoc-gen-go-grpc ## Generate code from the .proto files.
	$(BIN)/buf generate

.PHONY: docs
docs: ## Write the documents that are made from the code.
	$(GO) run ./cmd/ldlm config template --format markdown > docs/configuration.md

.PHONY: cli-reference
cli-reference: ## Write docs/cli.md anew from the commands.
	$(GO) generate ./internal/cli

.PHONY: baseline
baseline: $(BIN)/buf ## Make the present wire the one that later changes are compared with.
	$(BIN)/buf build --exclude-source-info -o api/baseline.binpb

.PHONY: tools
tools: $(BIN)/buf $(BIN)/protoc-gen-go $(BIN)/protoc-gen-go-grpc $(BIN)/golangci-lint $(BIN)/benchstat ## Build the pinned tools into .bin/.

$(BIN)/buf: tools/buf/go.mod tools/buf/go.sum
	GOBIN=$(BIN) $(GO) -C tools/buf install tool
	@touch $@

$(BIN)/protoc-gen-go: tools/gen/go.mod tools/gen/go.sum
	GOBIN=$(BIN) $(GO) -C tools/gen install tool
	@touch $@

$(BIN)/protoc-gen-go-grpc: $(BIN)/protoc-gen-go
	@touch $@

$(BIN)/golangci-lint: tools/lint/go.mod tools/lint/go.sum
	GOBIN=$(BIN) $(GO) -C tools/lint install tool
	@touch $@

$(BIN)/goreleaser: tools/release/go.mod tools/release/go.sum
	GOBIN=$(BIN) $(GO) -C tools/release install tool
	@touch $@

$(BIN)/benchstat: tools/bench/go.mod tools/bench/go.sum
	GOBIN=$(BIN) $(GO) -C tools/bench install tool
	@touch $@
