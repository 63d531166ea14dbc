#!/bin/bash
# Builds the programs twice, the second time from a copy elsewhere without what
# the first has left in the cache, and compares: reproducible.sh PLATFORM...
set -eu

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
export PLATFORMS="$*"
VERSION=$(git describe --tags --always 2>/dev/null || echo devel) COMMIT=$(git rev-parse HEAD) BUILT=$(git log -1 --format=%cI)
export VERSION COMMIT BUILT

mkdir "$scratch/copy"
git ls-files -z --cached --others --exclude-standard | while IFS= read -r -d '' f; do
	[ ! -e "$f" ] || printf '%s\0' "$f"
done | tar -c --null -T - | tar -x -C "$scratch/copy"
./scripts/dist.sh "$scratch/first"
(cd "$scratch/copy" && GOCACHE="$scratch/cache" ./scripts/dist.sh "$scratch/second")
diff "$scratch/first/checksums.txt" "$scratch/second/checksums.txt"
echo "the same bytes twice: $PLATFORMS"
