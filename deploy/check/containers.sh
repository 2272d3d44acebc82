# shellcheck shell=bash disable=SC2034
# Podman apart from the machine's own: images, containers and configuration are in the cache, and
# networks in a network namespace; to be sourced after tools.sh, as root. Sets PODMAN, a command.
#
# runc and cgroupfs, because they also work where cgroups are hybrid and limits cannot be raised.

NETNS=libra-check

podman_apart() {
  [[ $EUID == 0 ]] || fail "this needs root: for namespaces and mounts"
  need podman podman
  need runc runc
  [[ -x /usr/lib/podman/netavark ]] || need netavark netavark
  local home="$CACHE/containers"
  mkdir -p "$home"
  cat >"$home/containers.conf" <<'END'
[network]
network_backend = "netavark"
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
[containers]
default_ulimits = ["nofile=16384:16384", "nproc=32768:32768"]
log_driver = "k8s-file"
END
  PODMAN="$home/podman"
  cat >"$PODMAN" <<END
#!/bin/sh
export CONTAINERS_CONF="$home/containers.conf"
exec "$(command -v podman)" --root "$home/storage" --runroot "/run/$NETNS-containers" \\
  --network-config-dir "$home/networks" "\$@"
END
  chmod +x "$PODMAN"
}

# apart SCRIPT ARGUMENTS...: goes on as that script in the network namespace, so that bridges and rules
# of containers are not the machine's. (`ip netns exec` would hide the cgroups.)
apart() {
  need ip iproute2
  if [[ "$(ip netns identify $$)" == "$NETNS" ]]; then return; fi
  ip netns list | grep -qw "^$NETNS" || ip netns add "$NETNS"
  ip -n "$NETNS" link set lo up
  exec nsenter --net="/run/netns/$NETNS" "$@"
}
