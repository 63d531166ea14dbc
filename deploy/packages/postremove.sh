#!/bin/sh
# The unit is gone. What the server wrote stays, until Debian is told to purge it; the
# user stays, since files may be its own.
set -e
if [ -d /run/systemd/system ]; then
	systemctl daemon-reload || true
fi
if [ "${1:-}" = purge ]; then
	for dir in lib log; do
		rm -rf "/var/$dir/private/ldlm" "/var/$dir/ldlm"
	done
fi
