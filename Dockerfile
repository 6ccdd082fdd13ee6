# Base images are pinned by the digest of their index, beside the tag that it
# stood under. To renew one, ask the registry and put the new digest here; with
# another release of Go, the toolchain line of go.mod changes, too:
#   docker buildx imagetools inspect golang:1.26.8-bookworm
#   docker buildx imagetools inspect gcr.io/distroless/static-debian12:nonroot

# The build stage needs nothing but Go: no cgo, no code generation.
FROM golang:1.26.8-bookworm@sha256:a688600ca24f8a4d3ca77f95b0dd40704a9fc787c826660eb7ba0b641b8b175d AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY cmd ./cmd
COPY bot ./bot
COPY runbook ./runbook
RUN CGO_ENABLED=0 go build -trimpath -ldflags '-s -w' -o /out/jwksbot ./cmd/jwksbot \
 && mkdir -p /out/data

# No shell, no package manager, no root. CA certificates are part of the image.
FROM gcr.io/distroless/static-debian12:nonroot@sha256:afa5c872c891853ca7fcf1f12c3edb23f7eeef36189728842dd51042ff57f7ab
COPY --from=build /out/jwksbot /usr/local/bin/jwksbot
# The journal: mount a disk here that outlives the container.
COPY --from=build --chown=nonroot:nonroot /out/data /var/lib/jwksbot
WORKDIR /var/lib/jwksbot
VOLUME /var/lib/jwksbot
ENV JWKSBOT_CONFIG=/etc/jwksbot/jwksbot.yaml
HEALTHCHECK --interval=30s --timeout=5s --start-period=15s CMD ["/usr/local/bin/jwksbot", "health"]
ENTRYPOINT ["/usr/local/bin/jwksbot"]
CMD ["serve"]
