# Two images of static binaries and nothing else, no shell either: `fivetuple`, the runner and the agent, and `upstream`, the
# server behind the gateway of examples/compose.
FROM golang:1.26-bookworm AS build
WORKDIR /src
COPY . .
ARG VERSION=dev
# The caches stay on the builder: a second build downloads nothing and compiles only what changed.
RUN --mount=type=cache,target=/go/pkg/mod --mount=type=cache,target=/root/.cache/go-build \
    CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X main.version=${VERSION}" -o /out/fivetuple ./runner
RUN --mount=type=cache,target=/go/pkg/mod --mount=type=cache,target=/root/.cache/go-build \
    CGO_ENABLED=0 go build -trimpath -ldflags "-s -w" -o /out/upstream ./examples/compose/upstream
# What the runner writes. A new volume takes the owner of the folder that it is mounted on.
RUN mkdir -p /out/var/lib/fivetuple /out/var/log/fivetuple

FROM scratch AS upstream
COPY --from=build /out/upstream /upstream
USER 65534:65534
ENTRYPOINT ["/upstream"]

FROM scratch AS fivetuple
COPY LICENSE /licenses/LICENSE
COPY LICENSES /licenses/
COPY --from=build /out/fivetuple /usr/local/bin/fivetuple
COPY --from=build --chown=65534:65534 /out/var/ /var/
# nobody: the runner needs no rights. The agent is started as root with three capabilities, see examples/compose.
USER 65534:65534
ENTRYPOINT ["/usr/local/bin/fivetuple"]
CMD ["run"]
