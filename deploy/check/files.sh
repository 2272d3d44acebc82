#!/usr/bin/env bash
# Checks the files of deploy/ without running them, in seconds and without root: Dockerfiles, YAML,
# shell scripts, the unit of systemd, and the Helm chart with the value sets in its ci/.
#
#   deploy/check/files.sh [path of a libra binary]
#
# With a binary the configurations that the chart renders are read by it. If systemd-analyze is not
# there, that is said and the unit is left out.
set -euo pipefail
# shellcheck source=deploy/check/tools.sh
source "$(dirname "${BASH_SOURCE[0]}")/tools.sh"
libra="${1:-}"
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
python_tools

step "Dockerfiles"
hadolint "$DEPLOY/Dockerfile" "$DEPLOY/spark/Dockerfile"

step "YAML"
yamllint --strict -c "$HERE/yamllint.yaml" "$DEPLOY"/*.y*ml "$HERE/yamllint.yaml" \
  "$DEPLOY"/helm/libra/{Chart.yaml,values.yaml,ci}

step "compose.yaml"
# Only read here: all that is asked of podman is its version, and it need not be installed.
printf '#!/bin/sh\necho podman version 4.3.1\n' >"$work/podman"
chmod +x "$work/podman"
podman-compose --podman-path "$work/podman" -f "$DEPLOY/compose.yaml" config >"$work/compose.yaml"

step "shell scripts"
shellcheck -x --source-path="$DEPLOY/.." "$HERE"/*.sh "$DEPLOY/spark-plugin/build.sh"

step "unit of systemd"
if command -v systemd-analyze >/dev/null; then
  # The binary need not be installed where this runs.
  sed 's,^ExecStart=[^ ]*,ExecStart=/bin/true,' "$DEPLOY/systemd/libra.service" >"$work/libra.service"
  # It exits with 0 whatever it has to say.
  systemd-analyze verify "$work/libra.service" 2>&1 | tee "$work/said"
  [[ ! -s "$work/said" ]] || fail "systemd-analyze verify has something to say"
  systemd-analyze security --offline=true --threshold=15 "$work/libra.service" | tail -n 1
else
  echo "systemd-analyze is not installed: left out"
fi

step "Helm chart"
"$PYTHON" "$HERE/chart.py" "$DEPLOY/helm/libra" "$work" ${libra:+"$libra"}
