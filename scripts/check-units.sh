#!/bin/sh
# Looks over the units with systemd-analyze, on copies that name the programs in
# the folder that is given: check-units.sh FOLDER. Exposure must be below 3.0.
set -eu

programs=$1
command -v systemd-analyze >/dev/null || {
	echo "systemd-analyze is missing: apt-get install systemd" >&2
	exit 1
}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
for unit in ldlm.service ldlm.socket; do
	sed "s#/usr/bin/ldlm-server#$programs/ldlm-server#" "deploy/systemd/$unit" >"$scratch/$unit"
done
said=$(systemd-analyze verify "$scratch/ldlm.service" "$scratch/ldlm.socket" 2>&1 | grep -F "$scratch" || true)
if [ -n "$said" ]; then
	printf '%s\n' "$said" >&2
	exit 1
fi
systemd-analyze security --offline=true --threshold=30 --no-pager "$scratch/ldlm.service" | tail -n 1
