"""Kills containers with -9 under load and looks for what is missing afterwards.

`loses_nothing.py PODMAN CONTAINER=URL...`: one for each coordinator of a cluster in SHARED mode whose
Spark works. Clients submit through every coordinator in turn while the owner of the session is
killed and stays dead until all that was running has ended and was read, and then leader and owner again, brought
back by the restart policy. Afterwards on every node: each acknowledged statement is found, has ended
`succeeded`, and reads the same bytes; each acknowledged INSERT is in its table exactly once.
"""

import collections
import itertools
import json
import os
import random
import signal
import sys
import threading
import time
import uuid

from client import Refused, call, expect, fail, get, podman, until

SESSION = "default"
WRITERS, READERS, SLEEPERS = 3, 3, 2
# Seconds of load before the first kill, and after each.
LOAD = 5
SLEEP_MS = 7000


class Cluster:
    def __init__(self, command, nodes):
        self.command = command
        self.nodes = nodes
        self.turn = itertools.count()

    def urls(self):
        return list(self.nodes.values())

    def next_url(self):
        return self.urls()[next(self.turn) % len(self.nodes)]

    def anybody(self, path):
        """An answer of any node that gives one."""

        def attempt():
            return get(f"{self.next_url()}/api/v1/{path}", limit=15)

        return until(60, path, attempt)

    def name_of(self, node_id):
        return list(self.nodes)[node_id - 1]

    def owner(self):
        return self.name_of(self.anybody(f"sessions/{SESSION}")["owner"]["nodeId"])

    def leader(self):
        leads = until(60, "a leader", lambda: self.anybody("cluster")["leader"])
        return self.name_of(leads)

    def ready(self, name):
        url = f"{self.nodes[name]}/actuator/health/readiness"
        until(120, f"{name} is ready", lambda: call("GET", url, limit=10)[0] == 200)

    def pid(self, name):
        return int(podman(self.command, "inspect", "--format", "{{.State.Pid}}", name))


class Load:
    """Clients, and what they were told."""

    def __init__(self, cluster):
        self.cluster = cluster
        self.over = threading.Event()
        self.lock = threading.Lock()
        self.acknowledged = {}  # job id: what it has to read as, or None
        self.inserts = collections.defaultdict(set)  # table: acknowledged numbers
        self.submits = []  # when each was begun, and when it was acknowledged
        self.trouble = []
        self.threads = []

    def start(self):
        parts = [(self.write, n) for n in range(WRITERS)]
        parts += [(self.read, n) for n in range(READERS)]
        parts += [(self.sleep, n) for n in range(SLEEPERS)]
        for part, number in parts:
            thread = threading.Thread(target=self.guard, args=(part, number), daemon=True)
            thread.start()
            self.threads.append(thread)

    def guard(self, part, number):
        try:
            part(number)
        except BaseException as trouble:  # told by the main thread
            self.trouble.append(f"{part.__name__} {number}: {trouble!r}")

    def stop(self):
        self.over.set()
        for thread in self.threads:
            thread.join(120)
            expect(not thread.is_alive(), "a client does not end")
        self.check()

    def check(self):
        expect(not self.trouble, self.trouble)

    def submit(self, code, pool, expected):
        """The job id, once acknowledged: the same key goes to one node after the other."""
        key, began = str(uuid.uuid4()), time.monotonic()
        while True:
            url = f"{self.cluster.next_url()}/api/v1/sessions/{SESSION}/statements?wait=0"
            try:
                body = {"code": code, "pool": pool}
                status, _, text = call("POST", url, body, {"Idempotency-Key": key}, limit=15)
                break
            except Refused as refused:
                if time.monotonic() > began + 60:
                    raise RuntimeError(f"not acknowledged within 60 s: {code}: {refused}") from refused
                time.sleep(0.05)
        if status not in (200, 202):
            raise RuntimeError(f"{code}: {status} {text!r}")
        job = json.loads(text)["jobId"]
        with self.lock:
            self.acknowledged[job] = expected
            self.submits.append((began, time.monotonic()))
        return job

    def ended(self, job):
        def attempt():
            statement = get(f"{self.cluster.next_url()}/api/v1/statements/{job}?wait=5&rows=0", limit=15)
            return statement if statement["state"] not in ("queued", "running") else None

        return until(120, f"{job} ends", attempt)

    def write(self, number):
        """One after the other, so that Spark's own writers do not meet in one table."""
        table = f"runs_{number}"
        for n in itertools.count():
            if self.over.is_set():
                return
            job = self.submit(f"INSERT INTO {table} VALUES ({n})", "default", None)
            with self.lock:
                self.inserts[table].add(n)
            self.ended(job)

    def read(self, _):
        """Short ones; not more than the queue and this machine like."""
        running = collections.deque()
        while not self.over.is_set():
            n = random.randrange(1, 100000)
            code = f"SELECT {n} AS n, sum(id) AS total FROM range({n})"
            running.append(self.submit(code, "interactive", [[n, n * (n - 1) // 2]]))
            if len(running) > 3:
                self.ended(running.popleft())

    def sleep(self, _):
        """Those that are surely running when a node dies."""
        while not self.over.is_set():
            n = random.randrange(100000)
            code = f"SELECT id, reflect('java.lang.Thread', 'sleep', bigint({SLEEP_MS})) AS slept FROM range({n}, {n + 1}, 1, 1)"
            self.ended(self.submit(code, "low-priority", [[n, "null"]]))


def in_flight(cluster):
    running = cluster.anybody("statements?state=running&limit=1000")["statements"]
    queued = cluster.anybody("statements?state=queued&limit=1000")["statements"]
    return {it["jobId"] for it in running}, {it["jobId"] for it in queued}


def kill(cluster, load, who, name, comes_back):
    """Kills a container, waits for what it was doing, and has it back."""
    load.check()
    running, queued = in_flight(cluster)
    expect(running, "nothing is running: the kill would show nothing")
    killed_at = time.monotonic()
    if comes_back:
        # As a crash: the restart policy brings it back.
        os.kill(cluster.pid(name), signal.SIGKILL)
    else:
        podman(cluster.command, "kill", "--signal", "KILL", name)
    for job in sorted(running | queued):
        load.ended(job)
    done = time.monotonic() - killed_at
    if not comes_back:
        check_statements(cluster, load, running | queued, {name})
        state = podman(cluster.command, "inspect", "--format", "{{.State.Running}}", name)
        expect(state == "false", f"{name} should be dead meanwhile")
        podman(cluster.command, "start", name)
    cluster.ready(name)
    back = time.monotonic() - killed_at
    time.sleep(LOAD)
    with load.lock:
        slowest = max(to - since for since, to in load.submits if to > killed_at)
    print(
        f"  kill -9 of the {who} ({name}): {len(running)} running and {len(queued)} queued ended after "
        f"{done:.1f} s{'' if comes_back else ', and could be read, while it was dead'}; slowest "
        f"acknowledgement {slowest:.1f} s; back after {back:.1f} s",
        flush=True,
    )


def statement(cluster, load, code):
    job = load.submit(code, "default", None)
    ended = load.ended(job)
    expect(ended["state"] == "succeeded", f"{code}: {ended}")
    return cluster.anybody(f"statements/{job}/result?limit=10000")["rows"]


def check_statements(cluster, load, jobs, dead=frozenset()):
    """Each on every living node: found, succeeded, the same bytes, the right ones."""
    living = [url for name, url in cluster.nodes.items() if name not in dead]
    for job in sorted(jobs):
        expected, bodies = load.acknowledged[job], set()
        for url in living:
            shown = get(f"{url}/api/v1/statements/{job}?rows=0")
            expect(shown["state"] == "succeeded", f"{job} on {url}: {shown}")
            status, _, body = call("GET", f"{url}/api/v1/statements/{job}/result")
            expect(status == 200, f"result of {job} on {url}: {status} {body!r}")
            bodies.add(body)
        expect(len(bodies) == 1, f"{job} reads differently: {bodies}")
        if expected is not None:
            rows = json.loads(bodies.pop())["rows"]
            expect(rows == expected, f"{job} reads {rows}, not {expected}")


def check_tables(cluster, load):
    for table, numbers in load.inserts.items():
        rows = statement(cluster, load, f"SELECT * FROM {table}")
        found = collections.Counter(row[0] for row in rows)
        expect(set(found) == numbers, f"{table}: missing {numbers - set(found)}, too many {set(found) - numbers}")
        twice = [n for n, count in found.items() if count > 1]
        expect(not twice, f"{table}: run twice: {twice}")


def main():
    command, *nodes = sys.argv[1:]
    cluster = Cluster(command, dict(node.split("=", 1) for node in nodes))
    began = time.monotonic()
    for name in cluster.nodes:
        cluster.ready(name)
    print(f"  ready after {time.monotonic() - began:.1f} s", flush=True)
    for url in cluster.urls():
        until(180, "Spark is there", lambda: call("GET", f"{url}/actuator/health", limit=10)[0] == 200)
    print(f"  Spark is there after {time.monotonic() - began:.1f} s", flush=True)
    load = Load(cluster)
    for number in range(WRITERS):
        statement(cluster, load, f"CREATE TABLE runs_{number} (n INT) USING parquet")
    load.start()
    time.sleep(LOAD)
    kill(cluster, load, "owner", cluster.owner(), comes_back=False)
    kill(cluster, load, "leader", cluster.leader(), comes_back=True)
    kill(cluster, load, "owner", cluster.owner(), comes_back=True)
    load.stop()
    for job in list(load.acknowledged):
        load.ended(job)
    inserts = sum(len(numbers) for numbers in load.inserts.values())
    total = len(load.acknowledged)
    if inserts < 10 or total < 50:
        fail(f"too little load to show anything: {total} statements, {inserts} INSERTs")
    check_statements(cluster, load, load.acknowledged)
    check_tables(cluster, load)
    print(
        f"  {total} acknowledged statements: lost 0, run twice 0 (of {inserts} INSERTs), "
        f"read the same on {len(cluster.nodes)} nodes"
    )


main()
