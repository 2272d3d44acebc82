#!/usr/bin/env bash
# Builds the images of compose.yaml with podman, and tries out what they promise each by itself.
#
#   deploy/check/images.sh [argument of podman build]...
#
# With LIBRA_BINARY the coordinator's image gets that file instead of a build of its own, which takes
# ten minutes and more. Without a registry of images run bases.sh before.
set -euo pipefail
# shellcheck source=deploy/check/tools.sh
source "$(dirname "${BASH_SOURCE[0]}")/tools.sh"
# shellcheck source=deploy/check/containers.sh
source "$HERE/containers.sh"
podman_apart
root="$(dirname "$DEPLOY")"
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT

build=("$PODMAN" build --format docker --network host "$@")
libra=()
if [[ -n "${LIBRA_BINARY:-}" ]]; then
  # Stands for the stage of that name.
  install -D "$LIBRA_BINARY" "$work/out/libra"
  install -m 644 /etc/ssl/certs/ca-certificates.crt "$work/out/ca-certificates.crt"
  libra=(--build-context "build=$work")
fi
step "whereq/libra:1.0.0"
"${build[@]}" "${libra[@]}" -f "$DEPLOY/Dockerfile" -t whereq/libra:1.0.0 "$root"
step "whereq/libra-spark:4.3.0"
"${build[@]}" -f "$DEPLOY/spark/Dockerfile" -t whereq/libra-spark:4.3.0 "$root"
"$PODMAN" images --filter reference='whereq/*' --format '{{.Repository}}:{{.Tag}} {{.Size}}'
