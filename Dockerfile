# The runner and the agent in one image: one static binary and nothing else, no shell either.
FROM golang:1.26-bookworm AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
ARG VERSION=dev
RUN CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X main.version=${VERSION}" -o /out/fivetuple ./runner

FROM scratch
COPY LICENSE /licenses/LICENSE
COPY LICENSES /licenses/
COPY --from=build /out/fivetuple /usr/local/bin/fivetuple
# nobody: what the runner needs. The agent is started as root with three capabilities, see examples/compose.
USER 65534:65534
ENTRYPOINT ["/usr/local/bin/fivetuple"]
CMD ["run"]
