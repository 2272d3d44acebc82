#!/usr/bin/env bash
# Stand-ins for the two base images, for a machine that reaches Debian's archive but no registry of
# images: a small Debian under the name of debian:bookworm-slim, and under that of
# rust:1.95-slim-bookworm the same with a linker and the Rust that is installed here.
#
#   deploy/check/bases.sh
set -euo pipefail
# shellcheck source=deploy/check/tools.sh
source "$(dirname "${BASH_SOURCE[0]}")/tools.sh"
# shellcheck source=deploy/check/containers.sh
source "$HERE/containers.sh"
podman_apart
need mmdebstrap mmdebstrap
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT

# base NAME PACKAGES: an image of a minimal Debian with these.
base() {
  mmdebstrap --quiet --variant=minbase --include="$2" --aptopt='Acquire::Check-Valid-Until "false"' \
    --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
    bookworm "$work/base.tar"
  "$PODMAN" import --quiet "$work/base.tar" "$1" >/dev/null
  rm "$work/base.tar"
}

step "debian:bookworm-slim"
base docker.io/library/debian:bookworm-slim apt
step "rust:1.95-slim-bookworm"
base docker.io/library/rust:toolless ca-certificates,gcc,libc6-dev
mkdir "$work/rust"
tar -C "$(rustc --print sysroot)" --exclude=share --exclude=lib/rustlib/src -cf "$work/rust/rust.tar" bin lib
cat >"$work/rust/Dockerfile" <<'END'
FROM docker.io/library/rust:toolless
ADD rust.tar /usr/local/rust
ENV PATH=/usr/local/rust/bin:/usr/local/bin:/usr/bin:/bin CARGO_HOME=/usr/local/cargo
END
"$PODMAN" build --quiet --network host -t docker.io/library/rust:1.95-slim-bookworm "$work/rust" >/dev/null
