# syntax=docker/dockerfile:1
# The image of a release. It is the one of Dockerfile, made of programs that the release
# has built already; goreleaser lays them down by platform.
FROM gcr.io/distroless/static:nonroot
ARG TARGETPLATFORM
COPY $TARGETPLATFORM/ldlm $TARGETPLATFORM/ldlm-server $TARGETPLATFORM/ldlm-lock /
COPY --chown=nonroot:nonroot .dist/data /data
# Others than those in the container are to reach it. Without a password it warns.
ENV LDLM_LISTEN_ADDRESS=0.0.0.0:3144
EXPOSE 3144 3145
USER nonroot:nonroot
HEALTHCHECK --interval=10s --timeout=5s --start-period=5s CMD ["/ldlm", "ping"]
ENTRYPOINT ["/ldlm-server"]
