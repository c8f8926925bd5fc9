# Needs go, git, make and bash, and a C compiler for the race detector. All other programs, a Kubernetes
# control plane among them, are built from pinned Go modules into the user's cache folder.
SHELL := /usr/bin/env bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-builtin-rules --no-print-directory

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)

# Recipes only: they build what is missing.
step = @echo "==> $(1)" >&2
tool = "$$(hack/tools/build.sh $(1))"
control_plane = KUBEBUILDER_ASSETS="$$(hack/controlplane/build.sh)"
kubectl = "$$(command -v kubectl || echo "$$(hack/controlplane/build.sh)/kubectl")"

##@ Every day

.PHONY: help
help: ## Say what there is to make
	@awk 'BEGIN { FS = ":.*## " } \
		/^##@ / { printf "\n%s\n", substr($$0, 5) } \
		/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: test
test: verify ## Verify, then run all tests against a real control plane and each fuzz target for FUZZTIME (3000x)
	@hack/test.sh

.PHONY: demo
demo: ## Show the operator at work on a control plane of its own; KEEP=1 leaves it running
	$(call step,demo)
	@$(control_plane) go run ./hack/demo $(if $(KEEP),--keep)

.PHONY: chaos
chaos: ## Play the whole fault matrix, take each right away, and try 10,000 cases of the guard
	$(call step,fault matrix)
	@$(control_plane) go test ./test/chaos -count=1 -timeout 60m -args -everything
	$(call step,rights)
	@$(control_plane) go test ./test/rights -count=1 -timeout 60m -args -everything
	$(call step,guard)
	@$(control_plane) go test ./test/guard -count=1 -timeout 60m

.PHONY: e2e
e2e: ## Install the IMAGE (built if not given) with Helm in a real cluster and live through a day there; KEEP=1 leaves it running
	@hack/e2e.sh

.PHONY: bench
bench: ## Measure the operator under the load of N tenants
	$(call step,benchmark)
	@$(control_plane) go run ./test/load $(if $(N),-n $(N))

.PHONY: simulate
simulate: ## Live through 12 hours with N (10000) tenants in each SCENARIO (all), by SEED (1)
	$(call step,simulate)
	@go test ./test/simulate -count=1 -timeout 6h -v -run 'TestDay$(if $(SCENARIO),/^$(SCENARIO)$$)' -args -tenants $(or $(N),10000) -seed $(or $(SEED),1)

##@ Code

.PHONY: generate
generate: ## Write deep copies, CRDs, roles, generated documentation, and all of them into the chart
	$(call step,generate)
	@$(call tool,controller-gen) object paths=./api/...
	@$(call tool,controller-gen) crd paths=./api/... output:crd:dir=config/crd/bases
	@$(call tool,controller-gen) rbac:roleName=defender-tenant-operator paths=./... output:rbac:dir=config/rbac
	@go generate ./...
	@go run ./hack/chart

.PHONY: tidy
tidy: ## Tidy the go.mod files
	$(call step,tidy)
	@for module in . hack/controlplane hack/helm hack/image hack/node hack/runtime hack/supply hack/tools; do (cd "$$module" && go mod tidy); done

.PHONY: fmt
fmt: ## Format the Go code
	$(call step,format)
	@$(call tool,golangci-lint) fmt

.PHONY: lint
lint: ## Run the linters, which also keep the layers apart
	$(call step,lint)
	@$(call tool,golangci-lint) config verify
	@$(call tool,golangci-lint) run
	@cd hack/tools && go vet ./...

.PHONY: verify
verify: ## Fail if generate, tidy or fmt would change a file, or lint finds something
	@hack/verify.sh

##@ Programs

.PHONY: build
build: ## Build the operator and the kubectl plugin into bin/
	$(call step,build $(VERSION))
	@CGO_ENABLED=0 go build -trimpath -ldflags '-s -w -X main.version=$(VERSION)' -o bin/ ./cmd/...

.PHONY: run
run: install ## Run the operator here, against the cluster of your kubeconfig
	$(call step,run)
	@go run ./cmd/manager $(ARGS)

.PHONY: install
install: ## Install the CRDs into the cluster of your kubeconfig
	$(call step,install CRDs)
	@$(kubectl) apply --server-side -f config/crd/bases

.PHONY: uninstall
uninstall: ## Delete the CRDs, and with them every DefenderTenant and its Secrets
	$(call step,uninstall CRDs)
	@$(kubectl) delete --ignore-not-found -f config/crd/bases

.PHONY: control-plane
control-plane: ## Build etcd, kube-apiserver, kube-controller-manager and kubectl (once), print their folder
	@hack/controlplane/build.sh

##@ Release

.PHONY: image
image: ## Build the image into dist/image.tar and look at it; PLATFORMS=linux/amd64,linux/arm64, BASES=real|stand-in
	$(call step,image $(VERSION))
	@VERSION=$(VERSION) hack/image/image.sh
	@go test ./test/image -count=1 -v -run Image -args -archive "$$PWD/dist/image.tar"

.PHONY: image-check
image-check: ## Build the image twice with nothing cached and fail if a byte differs
	$(call step,image twice)
	@for copy in image again/image; do FRESH=1 VERSION=$(VERSION) hack/image/image.sh dist/$$copy.tar; done
	@cmp dist/image.tar dist/again/image.tar && echo "Both builds are the same to the byte: $$(sha256sum <dist/image.tar)"
	@go test ./test/image -count=1 -v -run Image -args -archive "$$PWD/dist/image.tar"

.PHONY: sbom
sbom: ## Write bills of materials of dist/image.tar, and fail if they leave out a module or have a licence not agreed on
	$(call step,bills of materials)
	@VERSION=$(VERSION) hack/supply/sbom.sh dist/image.tar
	@go test ./test/image -count=1 -v -run Bill -args -archive "$$PWD/dist/image.tar"

.PHONY: modules
modules: ## Download the modules of all go.mod files and check them against their checksums
	$(call step,modules)
	@for module in $$(git ls-files '*go.mod'); do \
		(cd "$$(dirname "$$module")" && go mod download && verdict=$$(go mod verify) && echo "$$module: $$verdict"); \
	done

.PHONY: vulnerabilities
vulnerabilities: ## Look for known vulnerabilities that the code can reach; GOVULNDB names another database
	$(call step,vulnerabilities)
	@hack/supply/vulnerabilities.sh

.PHONY: workflows
workflows: ## Check the workflow files
	$(call step,workflows)
	@"$$(hack/supply/build.sh actionlint)" -shellcheck= -pyflakes=

.PHONY: dist
dist: ## Write dist/install.yaml, the Helm chart, plugin and checksums; they name IMAGE by VERSION or DIGEST
	$(call step,dist $(VERSION))
	@VERSION=$(VERSION) hack/supply/dist.sh

.PHONY: clean
clean: ## Delete bin/, dist/ and what tests left behind; the cache of built programs stays
	@rm -rf bin dist cover.out
