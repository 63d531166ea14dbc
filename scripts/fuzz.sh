#!/bin/sh
# Runs every fuzz target of the module for a moment, one after the other:
# fuzz.sh TIME, as in 5s or 2000x (inputs). Fails at the first that finds
# something, and if there is none.
set -eu

time=$1
found=0

for file in $(find . -name testdata -prune -o -path ./bench -prune -o -name '*_test.go' -print | sort); do
	for target in $(sed -n 's/^func \(Fuzz[A-Za-z0-9_]*\)(.*/\1/p' "$file"); do
		found=$((found + 1))
		echo "$(dirname "$file") $target"
		go test -run='^$' -fuzz="^$target\$" -fuzztime="$time" "./$(dirname "$file")"
	done
done

if [ "$found" -eq 0 ]; then
	echo "no fuzz target found" >&2
	exit 1
fi
echo "$found fuzz targets, $time each"
