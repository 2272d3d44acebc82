#!/usr/bin/env bash
# Boots a Debian with systemd in systemd-nspawn, with the unit and a binary of Libra in it, and tries
# the unit out there (unit_inside.sh): start, kill, a wrong configuration, stop, reboot.
#
#   deploy/check/unit.sh path/of/libra
set -euo pipefail
# shellcheck source=deploy/check/tools.sh
source "$(dirname "${BASH_SOURCE[0]}")/tools.sh"
# shellcheck source=deploy/check/containers.sh
source "$HERE/containers.sh"
[[ $EUID == 0 ]] || fail "this needs root: for namespaces and mounts"
libra="$(realpath "${1:?usage: $0 path/of/libra}")"
need systemd-nspawn systemd-container
need mmdebstrap mmdebstrap

# A system with systemd, made once; each run takes a copy.
system="$CACHE/systemd.tar"
if [[ ! -f "$system" ]]; then
  step "a Debian with systemd, into $system"
  mkdir -p "$CACHE"
  mmdebstrap --quiet --variant=minbase --include=systemd,systemd-sysv,dbus,curl \
    --aptopt='Acquire::Check-Valid-Until "false"' bookworm "$system.new.tar"
  mv "$system.new.tar" "$system"
fi
apart "${BASH_SOURCE[0]}" "$libra"

root="$(mktemp -d)"
trap 'rm -rf "$root"' EXIT
tar -C "$root" -xf "$system"
install -m 755 "$libra" "$root/usr/local/bin/libra"
install -D -m 644 "$DEPLOY/application.yml" "$root/etc/libra/application.yml"
install -m 600 /dev/null "$root/etc/libra/environment"
install -m 644 "$DEPLOY/systemd/libra.service" "$root/etc/systemd/system/libra.service"
install -m 755 "$HERE/unit_inside.sh" "$root/root/check.sh"
cat >"$root/etc/systemd/system/check.service" <<'END'
[Unit]
After=multi-user.target
[Service]
Type=oneshot
ExecStart=/root/check.sh
ExecStopPost=/bin/systemctl --no-block poweroff
TimeoutStartSec=300
[Install]
WantedBy=default.target
END
for unit in libra check; do
  systemctl --root="$root" enable --quiet "$unit.service"
done

for boot in first second; do
  step "$boot boot"
  timeout 400 systemd-nspawn --quiet --directory="$root" --network-namespace-path="/run/netns/$NETNS" \
    --register=no --keep-unit --boot --console=pipe </dev/null >"$root/console" 2>&1 || true
  cat "$root/root/$boot" 2>/dev/null || { tail -n 40 "$root/console"; fail "it did not boot"; }
  grep -qx "done" "$root/root/$boot" || fail "the unit does not do what it should"
done
