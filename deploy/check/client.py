"""What the checks of containers ask coordinators and podman: only Python's own library."""

import json
import subprocess
import sys
import time
import urllib.error
import urllib.request


class Refused(Exception):
    """No answer, or one that says to come again."""


def fail(what):
    sys.exit(f"FAILED: {what}")


def expect(holds, what):
    if not holds:
        fail(what)


def until(limit, what, attempt):
    """The first true value of `attempt` within `limit` seconds; Refused counts as false."""
    deadline = time.monotonic() + limit
    while True:
        try:
            value, last = attempt(), None
        except Refused as refused:
            value, last = None, refused
        if value:
            return value
        if time.monotonic() > deadline:
            fail(f"not within {limit} s: {what} ({last})")
        time.sleep(0.1)


def call(method, url, body=None, headers=None, limit=70):
    """(status, headers, bytes) of an answer; 429, 503, 504 and no answer are Refused."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {**(headers or {})}, method=method)
    if data:
        request.add_header("Content-Type", "application/json")
    try:
        with urllib.request.urlopen(request, timeout=limit) as answer:
            return answer.status, answer.headers, answer.read()
    except urllib.error.HTTPError as error:
        text = error.read()
        if error.code in (429, 503, 504):
            raise Refused(f"{error.code} {text[:200]!r}") from error
        return error.code, error.headers, text
    except OSError as error:
        raise Refused(str(error)) from error


def get(url, limit=70):
    status, _, text = call("GET", url, limit=limit)
    expect(status == 200, f"GET {url}: {status} {text[:500]!r}")
    return json.loads(text)


def podman(command, *arguments):
    done = subprocess.run([command, *arguments], capture_output=True, text=True, check=False)
    expect(done.returncode == 0, f"podman {' '.join(arguments)}: {done.stderr}")
    return done.stdout.strip()
