#!/bin/sh
# A removal stops the service; an upgrade (Debian: upgrade, RPM: 1) does not.
set -e
case ${1:-} in
upgrade | failed-upgrade | 1) exit 0 ;;
esac
if [ -d /run/systemd/system ]; then
	systemctl disable --now ldlm.service ldlm.socket 2>/dev/null || true
fi
