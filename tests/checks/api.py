"""Tries the REST API out against its own document: `api.py BIN_DIR SCHEMATHESIS`.

Starts stub-spark and a coordinator in ISOLATED mode on ports of their own, both from BIN_DIR, and
lets schemathesis send what the document allows and what it does not, alone and in sequences. Fails
as tests/checks/schemathesis.toml says, or when the coordinator has logged an error. Both servers
end with this script, be it killed: the stub sees its standard input close, the coordinator has a
guard that does.
"""

import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import time

SETTINGS = pathlib.Path(__file__).with_name("schemathesis.toml")
READY_WITHIN = 60
# Seconds of trying; examples and boundary values come first, chance gets the rest.
TRY_FOR = 50
CUT_AFTER = 120
GUARD = "trap '' INT TERM HUP; cat >/dev/null; kill -9 \"$1\" 2>/dev/null"


def start_stub(binaries):
    stub = subprocess.Popen(
        [binaries / "stub-spark"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    return stub, json.loads(stub.stdout.readline())["spark"]


def start_libra(binaries, spark, folder):
    log = folder / "libra.log"
    settings = {
        "libra.session.mode": "ISOLATED",
        "libra.session.max-sessions": 100000,
        "libra.node.data-dir": folder / "data",
        "libra.node.http": "127.0.0.1:0",
        "libra.node.grpc": "127.0.0.1:0",
        "spark.remote": spark,
    }
    command = [binaries / "libra", "serve"]
    for key, value in settings.items():
        command += ["--set", f"{key}={value}"]
    env = {key: value for key, value in os.environ.items() if not key.startswith("LIBRA_")}
    with log.open("w") as out:
        libra = subprocess.Popen(command, cwd=folder, env=env, stdout=out, stderr=out)
    guard = subprocess.Popen(
        ["bash", "-c", GUARD, "guard", str(libra.pid)],
        stdin=subprocess.PIPE,
        start_new_session=True,
    )
    return libra, guard, log


def address(libra, log):
    deadline = time.monotonic() + READY_WITHIN
    while time.monotonic() < deadline and libra.poll() is None:
        found = re.search(r' ready node_id=1 http="([^"]+)"', log.read_text())
        if found:
            return f"http://{found[1]}"
        time.sleep(0.05)
    sys.exit(f"libra is not ready:\n{log.read_text()}")


def try_out(schemathesis, url, folder):
    command = [
        schemathesis,
        "--config-file",
        SETTINGS,
        "run",
        f"{url}/api-docs",
        "--checks=all",
        "--continue-on-failure",
        "--workers=2",
        f"--max-time={TRY_FOR}",
        "--request-timeout=20",
        "--generation-database=none",
        "--no-color",
        # In the settings too, which sequences of calls do not always go by.
        "--exclude-checks",
        "use_after_free",
    ]
    # It would leave files of its own where it runs.
    return subprocess.run(command, cwd=folder, timeout=CUT_AFTER, check=False).returncode


def errors_in(log):
    return [line for line in log.read_text().splitlines() if " ERROR " in line or "panicked" in line]


def main(binaries, schemathesis):
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        stub, spark = start_stub(binaries)
        libra, guard, log = start_libra(binaries, spark, folder)
        try:
            failed = try_out(schemathesis, address(libra, log), folder)
            alive = libra.poll() is None
            libra.send_signal(signal.SIGTERM)
            libra.wait(timeout=30)
            errors = errors_in(log)
        finally:
            libra.kill()
            libra.wait()
            guard.stdin.close()
            stub.stdin.close()
            guard.wait()
            stub.wait(timeout=30)
    for line in errors[:20]:
        print(line)
    if not alive:
        print("the coordinator has ended by itself")
    return 1 if failed or errors or not alive else 0


if __name__ == "__main__":
    sys.exit(main(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])))
