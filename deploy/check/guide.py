"""Whether the command of the guide gives what the guide says: `guide.py PODMAN CONTAINER`.

The container was started with LIBRA_SESSION_MODE=ISOLATED and nothing else: no Spark, no file. It
has to become healthy, run as nobody in particular, make a session for whoever asks, and stop in order.
"""

import json
import subprocess
import sys
import time

from client import call, expect, get, podman, until


def healthy(command, name):
    check = [command, "healthcheck", "run", name]
    return subprocess.run(check, capture_output=True, check=False).returncode == 0


def main():
    command, name = sys.argv[1:]
    until(60, "healthy", lambda: healthy(command, name))
    address = podman(command, "inspect", "--format", "{{.NetworkSettings.IPAddress}}", name)
    url = f"http://{address}:8080/api/v1"
    body = {"code": "SELECT * FROM mydata", "kind": "sql"}
    submit = f"{url}/sessions/user-alice/statements?wait=0"
    status, _, text = until(20, "a statement", lambda: call("POST", submit, body))
    expect(status == 202, f"a statement of alice: {status} {text!r}")
    session = get(f"{url}/sessions/user-alice")
    expect(session["mode"] == "ISOLATED", f"the session is {session}")
    expect(json.loads(text)["state"] == "queued", f"without Spark it waits: {text!r}")
    expect(podman(command, "exec", name, "id", "-u") == "10001", "it does not run as root")
    data = podman(command, "exec", name, "ls", "/var/lib/libra")
    expect({"raft", "results"} <= set(data.split()), f"its data is in the volume: {data}")

    began = time.monotonic()
    podman(command, "stop", "--time", "45", name)
    code = podman(command, "inspect", "--format", "{{.State.ExitCode}}", name)
    took = time.monotonic() - began
    expect(code == "0" and took < 30, f"stopped with {code} after {took:.1f} s")
    podman(command, "start", name)
    until(60, "healthy again", lambda: healthy(command, name))
    address = podman(command, "inspect", "--format", "{{.NetworkSettings.IPAddress}}", name)
    again = get(f"http://{address}:8080/api/v1/statements/job-1")
    expect(again["state"] == "queued", f"the statement of before: {again}")
    podman(command, "kill", "--signal", "KILL", name)
    print(f"  healthy, ISOLATED, uid 10001, stopped in {took:.1f} s, its statement is there again")


main()
