#!/bin/sh
# A removal stops the service; an upgrade (Debian: upgrade, RPM: 1) does not.
set -e
case ${1:-} in
upgrade | failed-upgrade | 1) exit 0 ;;
esac
if [ -d /run/systemd/system ]; then
	systemctl stop ldlm.socket ldlm.service || true
fi
# Without systemd running too, as where an image is made: else a link to no unit stays.
if command -v systemctl >/dev/null; then
	systemctl disable ldlm.service ldlm.socket || true
fi
