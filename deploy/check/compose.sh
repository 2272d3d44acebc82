#!/usr/bin/env bash
# Runs the images that images.sh has built: the command of the guide, then compose.yaml, whose
# containers are killed with -9 under load. Nothing that was acknowledged may be missing afterwards.
#
#   deploy/check/compose.sh
set -euo pipefail
# shellcheck source=deploy/check/tools.sh
source "$(dirname "${BASH_SOURCE[0]}")/tools.sh"
# shellcheck source=deploy/check/containers.sh
source "$HERE/containers.sh"
podman_apart
apart "${BASH_SOURCE[0]}" "$@"
python_tools
compose=(podman-compose --podman-path "$PODMAN" -f "$DEPLOY/compose.yaml")
log="$(mktemp)"
down() {
  "$PODMAN" rm --force --volumes libra-of-guide >/dev/null 2>&1 || true
  "${compose[@]}" down --volumes >"$log" 2>&1 || cat "$log"
  rm -f "$log"
}
trap down EXIT

step "docker run, as in the guide"
"$PODMAN" run --detach --name libra-of-guide -e LIBRA_SESSION_MODE=ISOLATED whereq/libra:1.0.0 \
  >"$log" 2>&1 || { cat "$log"; fail "the guide's command"; }
"$PYTHON" "$HERE/guide.py" "$PODMAN" libra-of-guide

step "compose up"
"${compose[@]}" up --detach >"$log" 2>&1 || { cat "$log"; fail "compose does not come up"; }
# Names as podman-compose makes them.
"$PYTHON" "$HERE/loses_nothing.py" "$PODMAN" \
  libra_libra-1_1=http://127.0.0.1:8080 libra_libra-2_1=http://127.0.0.1:8081 libra_libra-3_1=http://127.0.0.1:8082
