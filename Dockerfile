# The operator's image. Two builds of one commit are the same to the byte: nothing in here depends on
# when, where or in which folder it is built (docs/release.md).
FROM --platform=$BUILDPLATFORM golang:1.26.8 AS build
ENV CGO_ENABLED=0 GOPATH=/go GOTOOLCHAIN=local
WORKDIR /src
COPY go.mod go.sum ./
# The secret is optional: settings of the builder's Go (GOPROXY and the like), which leave no trace in the image.
RUN --mount=type=cache,target=/go/pkg/mod --mount=type=secret,id=goenv,target=/root/.config/go/env \
    go mod download
COPY api/ api/
COPY cmd/ cmd/
COPY controllers/ controllers/
COPY internal/ internal/
ARG TARGETOS TARGETARCH VERSION=dev
RUN --mount=type=cache,target=/go/pkg/mod --mount=type=cache,target=/root/.cache/go-build \
    --mount=type=secret,id=goenv,target=/root/.config/go/env \
    GOOS=$TARGETOS GOARCH=$TARGETARCH \
    go build -trimpath -buildvcs=false -ldflags "-s -w -X main.version=$VERSION" -o /manager ./cmd/manager

# No shell, no package manager: certificates, time zones and an unprivileged user.
FROM gcr.io/distroless/static:nonroot
ARG VERSION=dev REVISION=unknown
LABEL org.opencontainers.image.title="Defender Tenant Operator" \
      org.opencontainers.image.description="Keeps tokens of Microsoft Defender's APIs for many tenants fresh in Kubernetes Secrets" \
      org.opencontainers.image.source="https://github.com/defender-tenant/operator" \
      org.opencontainers.image.documentation="https://github.com/defender-tenant/operator/tree/main/docs" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION"
COPY --from=build /manager /manager
USER 65532:65532
ENTRYPOINT ["/manager"]
