#!/bin/sh
# Runs all tests of the module: test.sh auto|on|off [flags of go test].
#
# auto takes the race detector if this machine can build it, which most need a C
# compiler for; on fails without it.
set -eu

race=$1
shift

case $race in
off)
	echo "testing without the race detector, as asked"
	;;
auto | on)
	if out=$(go build -race runtime/race runtime/cgo 2>&1); then
		set -- -race "$@"
		echo "testing with the race detector"
	elif [ "$race" = on ]; then
		printf '%s\n' "$out" >&2
		echo "the race detector cannot be built here: install a C compiler, set CGO_ENABLED=1" >&2
		exit 1
	else
		echo "testing without the race detector: it cannot be built here (no C compiler, or CGO_ENABLED=0)"
	fi
	;;
*)
	echo "RACE is auto, on or off, not $race" >&2
	exit 2
	;;
esac

# The default of go test is short for slow machines, and for those that do much else.
exec go test -timeout=60m "$@" ./...
