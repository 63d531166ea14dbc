#!/bin/sh
# The service is known after an installation, and not started: its settings come
# first. After an upgrade it is started anew if it runs.
set -e
if command -v systemd-sysusers >/dev/null; then
	systemd-sysusers ldlm.conf
fi
if [ -d /run/systemd/system ]; then
	systemctl daemon-reload || true
	systemctl try-restart ldlm.service || true
fi
