# The build stage needs nothing but Go: no cgo, no code generation.
FROM golang:1.26-bookworm AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY cmd ./cmd
COPY bot ./bot
COPY runbook ./runbook
RUN CGO_ENABLED=0 go build -trimpath -ldflags '-s -w' -o /out/jwksbot ./cmd/jwksbot \
 && mkdir -p /out/data

# No shell, no package manager, no root. CA certificates are part of the image.
FROM gcr.io/distroless/static-debian12:nonroot
COPY --from=build /out/jwksbot /usr/local/bin/jwksbot
# The journal: mount a disk here that outlives the container.
COPY --from=build --chown=nonroot:nonroot /out/data /var/lib/jwksbot
WORKDIR /var/lib/jwksbot
VOLUME /var/lib/jwksbot
ENV JWKSBOT_CONFIG=/etc/jwksbot/jwksbot.yaml
HEALTHCHECK --interval=30s --timeout=5s --start-period=15s CMD ["/usr/local/bin/jwksbot", "health"]
ENTRYPOINT ["/usr/local/bin/jwksbot"]
CMD ["serve"]
