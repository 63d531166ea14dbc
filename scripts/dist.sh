#!/bin/sh
# Builds static programs for every platform of a release: dist.sh FOLDER. The same
# source gives the same bytes, wherever the repository lies: the build knows neither
# paths nor the time, and its version comes from the commit.
set -eu

out=$1
version=${VERSION:-$(git describe --tags --always --dirty 2>/dev/null || echo devel)}
commit=${COMMIT:-$(git rev-parse HEAD 2>/dev/null || echo unknown)}
built=${BUILT:-$(git log -1 --format=%cI 2>/dev/null || echo unknown)}
in=github.com/ldlm-io/ldlm/internal/cli
platforms=${PLATFORMS:-linux/amd64 linux/arm64 darwin/amd64 darwin/arm64 windows/amd64 windows/arm64 freebsd/amd64 freebsd/arm64}

for p in $platforms; do
	folder=$out/ldlm_${p%/*}_${p#*/}
	mkdir -p "$folder"
	echo "$folder"
	CGO_ENABLED=0 GOFLAGS= GOAMD64=v1 GOARM64=v8.0 GOOS=${p%/*} GOARCH=${p#*/} \
		go build -trimpath -buildvcs=false -o "$folder/" \
		-ldflags="-s -w -buildid= -X $in.version=$version -X $in.commit=$commit -X $in.built=$built" ./cmd/...
done
(cd "$out" && find . -type f ! -name checksums.txt | LC_ALL=C sort | xargs sha256sum >checksums.txt)
