"""Drives every call of the operator's gRPC service with nothing but server reflection.

    admin_reflection.py REST_URL FOURTH_ID FOURTH_GRPC FRESH_GRPC NODE_GRPC...

The nodes are of one cluster in ISOLATED mode before the stub; FOURTH is a node that runs and is in
no group, FRESH a cluster of one that nobody has used. Prints what was asked and answered; fails when
an answer is not what it must be, or when a call of the service was not made.
"""

import json
import sys
import time
import urllib.request

import grpc
from google.protobuf import any_pb2, json_format, message_factory
from google.protobuf.descriptor_pool import DescriptorPool
from google.rpc import error_details_pb2, status_pb2
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)

SERVICE = "libra.admin.v1.Admin"
CALLED = set()


class Refused(Exception):
    """A status other than OK, with its details."""

    def __init__(self, error):
        super().__init__(f"{error.code().name}: {error.details()}")
        self.code = error.code().name
        self.reason, self.metadata, self.fields, self.retry = "", {}, [], None
        trailers = dict(error.trailing_metadata() or [])
        status = status_pb2.Status.FromString(trailers.get("grpc-status-details-bin", b""))
        for detail in status.details:
            self.read(detail)

    def read(self, detail: any_pb2.Any):
        for kind in ("ErrorInfo", "BadRequest", "RetryInfo"):
            message = getattr(error_details_pb2, kind)()
            if detail.Unpack(message):
                if kind == "ErrorInfo":
                    assert message.domain == "libra", message
                    self.reason, self.metadata = message.reason, dict(message.metadata)
                elif kind == "BadRequest":
                    self.fields = [violation.field for violation in message.field_violations]
                else:
                    self.retry = message.retry_delay.ToTimedelta().total_seconds()


class Client:
    """A service of one node, known by reflection alone."""

    def __init__(self, address, service=SERVICE):
        self.address = address
        self.channel = grpc.insecure_channel(address)
        database = ProtoReflectionDescriptorDatabase(self.channel)
        self.services = set(database.get_services())
        self.service = DescriptorPool(database).FindServiceByName(service)

    def method(self, name):
        method = self.service.methods_by_name[name]
        request = message_factory.GetMessageClass(method.input_type)
        answer = message_factory.GetMessageClass(method.output_type)
        kinds = {(False, False): "unary_unary", (False, True): "unary_stream", (True, False): "stream_unary"}
        open_call = getattr(self.channel, kinds[(method.client_streaming, method.server_streaming)])
        path = f"/{self.service.full_name}/{name}"
        call = open_call(path, request_serializer=request.SerializeToString,
                         response_deserializer=answer.FromString)
        return request, call

    def call(self, called, /, timeout=30, show=True, **fields):
        request, call = self.method(called)
        if self.service.full_name == SERVICE:
            CALLED.add(called)
        message = json_format.ParseDict(fields, request())
        try:
            answer = call(message, timeout=timeout)
        except grpc.RpcError as error:
            refused = Refused(error)
            print(f"{called} {json.dumps(fields)}\n  -> {refused} [{refused.reason}]")
            raise refused from None
        shown = json_format.MessageToDict(answer)
        if show:
            text = json.dumps(shown)
            print(f"{called} {json.dumps(fields)}\n  -> {text if len(text) < 400 else text[:400] + ' …'}")
        return answer

    def stream(self, called, /, timeout=30, **fields):
        request, call = self.method(called)
        CALLED.add(called)
        return call(json_format.ParseDict(fields, request()), timeout=timeout)

    def refused(self, code, reason, called, /, **fields):
        try:
            answer = self.call(called, **fields)
        except Refused as refused:
            assert (refused.code, refused.reason) == (code, reason), (str(refused), refused.reason)
            return refused
        raise AssertionError(f"{called} {fields} was answered: {answer}")


class Rest:
    def __init__(self, base):
        self.base = base

    def ask(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"} if data else {}
        request = urllib.request.Request(self.base + path, data, headers, method=method)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)

    def submit(self, session, code, wait=0, **more):
        path = f"/api/v1/sessions/{session}/statements?wait={wait}"
        return self.ask("POST", path, {"code": code, **more})

    def statement(self, job, path=""):
        return self.ask("GET", f"/api/v1/statements/{job}{path}")


def until(what, check, limit=40):
    """The first true answer of `check`."""
    deadline = time.monotonic() + limit
    while time.monotonic() < deadline:
        found = check()
        if found:
            return found
        time.sleep(0.05)
    raise AssertionError(f"not within {limit} s: {what}")


def name_of(message, field):
    enum = message.DESCRIPTOR.fields_by_name[field].enum_type
    return enum.values_by_number[getattr(message, field)].name


def health_and_reflection(node):
    assert node.services >= {SERVICE, "grpc.health.v1.Health"}, node.services
    health = Client(node.address, "grpc.health.v1.Health")
    for service in ("", SERVICE):
        until(
            f"{service or 'the node'} to be SERVING",
            lambda: name_of(health.call("Check", service=service), "status") == "SERVING",
            limit=5,
        )
    return health


def sessions_and_statements(node, rest):
    for session in ("ann", "bob", "cem"):
        ended = rest.submit(session, "/* stub: rows=7 */ SELECT 1", wait=30, user=session)
        assert ended["state"] == "succeeded", ended
    listed = node.call("ListSessions", limit=2)
    assert len(listed.sessions) == 2 and listed.total == 3 and listed.next == "bob", listed
    rest_of_them = node.call("ListSessions", after=listed.next)
    assert [s.session_id for s in rest_of_them.sessions] == ["cem"], rest_of_them
    assert not node.call("ListSessions", states=["SESSION_STATE_CLOSED"]).sessions
    shown = node.call("GetSession", session_id="ann").session
    assert shown.user == "ann" and name_of(shown, "state") == "SESSION_STATE_IDLE", shown
    refused = node.refused("NOT_FOUND", "SESSION_NOT_FOUND", "GetSession", session_id="nobody")
    assert refused.metadata == {"session_id": "nobody"}, refused.metadata
    refused = node.refused("INVALID_ARGUMENT", "INVALID_REQUEST", "GetSession", session_id="a b")
    assert refused.fields == ["session_id"], refused.fields

    hanging = [rest.submit("ann", f"/* stub: hang */ SELECT {n}", user="ann")["jobId"] for n in range(3)]
    other = rest.submit("bob", "/* stub: hang */ SELECT 9", user="bob")["jobId"]
    until("all to run", lambda: all(rest.statement(job)["state"] == "running" for job in [*hanging, other]))
    page = node.call("ListStatements", filter={"user": "ann", "states": ["STATEMENT_STATE_RUNNING"]})
    assert [s.job_id for s in page.statements] == hanging[::-1], page
    assert len(node.call("ListStatements", limit=2).statements) == 2
    one = node.call("GetStatement", job_id=hanging[0]).statement
    assert one.code.endswith("SELECT 0") and one.session_id == "ann", one
    node.refused("NOT_FOUND", "STATEMENT_NOT_FOUND", "GetStatement", job_id="job-999999")

    refused = node.refused("INVALID_ARGUMENT", "INVALID_REQUEST", "CancelStatements")
    assert refused.fields == ["filter"], refused.fields
    dry = node.call("CancelStatements", filter={"session_id": "ann"}, dry_run=True)
    assert [s.job_id for s in dry.statements] == hanging, dry
    long_ago = node.call("CancelStatements", filter={"running_longer_than_ms": 3_600_000})
    assert not long_ago.statements, long_ago
    cut = node.call("CancelStatements", filter={"session_id": "ann"}, limit=2)
    assert [s.job_id for s in cut.statements] == hanging[:2] and cut.remaining == 1, cut
    node.call("CancelStatements", filter={"job_ids": [hanging[2]]})
    until("the cancelled ones to end", lambda: all(rest.statement(j)["state"] == "cancelled" for j in hanging))
    assert rest.statement(other)["state"] == "running", "nobody asked for its end"
    return other


def moves(node, other):
    before = node.call("GetSession", session_id="bob").session
    target = next(n for n in (1, 2, 3) if n != before.owner_node)
    node.refused("ABORTED", "STALE_EPOCH", "MoveSession", session_id="bob", to_node=target, epoch=99)
    node.refused("NOT_FOUND", "NODE_NOT_FOUND", "MoveSession", session_id="bob", to_node=77)
    moved = node.call("MoveSession", session_id="bob", to_node=target)
    assert moved.moved and moved.session.owner_node == target, moved
    assert moved.session.epoch == before.epoch + 1, moved
    again = node.call("MoveSession", session_id="bob", to_node=target)
    assert not again.moved, again
    for session in ("ann", "cem"):
        node.call("MoveSession", session_id=session, to_node=target)
    balanced = node.call("RebalanceSessions")
    assert len(balanced.moves) == 2, balanced
    owners = {s.owner_node for s in node.call("ListSessions").sessions}
    assert owners == {1, 2, 3}, owners
    assert not node.call("RebalanceSessions").moves
    node.call("CancelStatements", filter={"job_ids": [other]})


def pools(node, rest):
    made = node.call("SetPool", name="nightly", weight=2)
    assert made.made and made.pool.weight == 2 and made.pool.min_share == 0, made
    changed = node.call("SetPool", name="nightly", max_running=1)
    assert not changed.made and changed.pool.weight == 2 and changed.pool.max_running == 1, changed
    refused = node.refused("INVALID_ARGUMENT", "INVALID_REQUEST", "SetPool", name="nightly", weight=0)
    assert refused.fields == ["weight"], refused.fields
    paused = node.call("PausePool", name="nightly")
    assert paused.changed and paused.pool.paused, paused
    assert not node.call("PausePool", name="nightly").changed
    queued = rest.submit("ann", "/* stub: rows=1 */ SELECT 5", wait=1, pool="nightly")
    assert queued["state"] == "queued", queued
    listed = {p.name: p for p in node.call("ListPools").pools}
    assert listed["nightly"].queued == 1 and listed["nightly"].paused, listed
    node.refused("FAILED_PRECONDITION", "POOL_IN_USE", "RemovePool", name="nightly")
    assert node.call("ResumePool", name="nightly").changed
    until("what was queued to run", lambda: rest.statement(queued["jobId"])["state"] == "succeeded")
    until("the pool to be empty", lambda: not {p.name: p for p in node.call("ListPools", show=False).pools}["nightly"].running)
    node.call("RemovePool", name="nightly")
    node.refused("NOT_FOUND", "POOL_NOT_FOUND", "PausePool", name="nightly")
    node.refused("FAILED_PRECONDITION", "POOL_PROTECTED", "RemovePool", name="default")


def members(nodes, fourth, fourth_grpc):
    node = nodes[0]
    refused = node.refused("INVALID_ARGUMENT", "INVALID_REQUEST", "AddNode", node_id=0, address="x")
    assert refused.fields == ["node_id"], refused.fields
    added = nodes[1].call("AddNode", node_id=fourth, address=fourth_grpc)
    assert any(m.node_id == fourth and not m.voter for m in added.members), added
    promoted = nodes[2].call("PromoteNode", node_id=fourth)
    assert any(m.node_id == fourth and m.voter for m in promoted.members), promoted
    new = Client(fourth_grpc)
    until("the fourth to be registered", lambda: [n for n in node.call("ClusterStatus", show=False).nodes if n.node_id == fourth and name_of(n, "state") == "NODE_STATE_UP"])
    drained = new.call("DrainNode", node_id=1)
    assert drained.changed and drained.sessions_left == 0 and drained.leader != 1, drained
    health = Client(node.address, "grpc.health.v1.Health")
    until("the drained node to say so", lambda: name_of(health.call("Check", show=False), "status") == "NOT_SERVING")
    assert node.call("UndrainNode", node_id=1).changed
    until("the node to serve again", lambda: name_of(health.call("Check", show=False), "status") == "SERVING")
    leader = node.call("ClusterStatus").leader
    to = next(n for n in (1, 2, 3) if n != leader)
    handed = nodes[2].call("TransferLeadership", to_node=to)
    assert (handed.leader, handed.from_node) == (to, leader), handed
    new.call("DrainNode", node_id=1)
    removed = new.call("RemoveNode", node_id=1)
    assert 1 not in [m.node_id for m in removed.members], removed
    new.refused("NOT_FOUND", "NODE_NOT_FOUND", "DrainNode", node_id=66)
    status = new.call("ClusterStatus", with_state_hash=True)
    assert status.from_leader and status.state_hash, status
    assert [n.node_id for n in status.nodes] == [2, 3, fourth], status
    assert all(n.version and n.feature_level == 1 for n in status.nodes), status
    local = new.call("ClusterStatus", local=True)
    assert local.node_id == fourth, local
    return new


def nodes_themselves(node):
    status = node.call("ClusterStatus")
    for one in status.nodes:
        told = node.call("Diagnose", node_id=one.node_id)
        assert told.node_id == one.node_id and told.ready, told
        assert abs(told.wall_clock_ms - time.time() * 1000) < 10_000, told.wall_clock_ms
        assert told.disk.total_bytes > told.disk.free_bytes > 0, told.disk
        assert told.fsync.samples and told.fsync.p50_us <= told.fsync.p99_us <= told.fsync.max_us, told.fsync
        assert told.lease.needed and told.lease.held and told.lease.left_ms, told.lease
        assert [name_of(e, "reachable") for e in told.endpoints] == ["REACHABLE_YES"], told.endpoints
        assert not [s.key for s in told.settings if s.differs], told.settings
        assert {c.name for c in told.components} >= {"raft", "disk", "spark"}, told.components
    written = node.call("TriggerSnapshot", node_id=status.nodes[0].node_id)
    assert written.written and written.snapshot_index > 0, written


def events(nodes):
    first = []
    for told in nodes[0].stream("WatchEvents", timeout=10, oldest=True):
        if told.HasField("event"):
            first.append((told.position.index, told.position.ordinal, told.event.WhichOneof("kind")))
        if len(first) >= 30:
            break
    kinds = {kind for _, _, kind in first}
    assert "leader_elected" in kinds or "session_created" in kinds, kinds
    print(f"WatchEvents oldest\n  -> {len(first)} events: {sorted(kinds)}")
    index, ordinal, _ = first[9]
    again = []
    for told in nodes[1].stream("WatchEvents", timeout=10, after={"index": index, "ordinal": ordinal}):
        if told.HasField("event"):
            again.append((told.position.index, told.position.ordinal, told.event.WhichOneof("kind")))
        if len(again) >= 20:
            break
    assert again == first[10:30], "another node goes on where the first one was left"
    chosen = nodes[1].stream("WatchEvents", timeout=10, oldest=True, session_id="bob", kinds=["EVENT_KIND_SESSION_MOVED"])
    moved = next(iter(chosen))
    assert moved.event.session_moved.session_id == "bob", moved
    for begin, reason in [({"index": 0, "ordinal": 0}, "EVENTS_EXPIRED"), ({"index": 10**9, "ordinal": 0}, "EVENTS_AHEAD")]:
        try:
            next(iter(nodes[0].stream("WatchEvents", timeout=10, after=begin)))
            raise AssertionError(f"{begin} was answered")
        except grpc.RpcError as error:
            refused = Refused(error)
            assert (refused.code, refused.reason) == ("OUT_OF_RANGE", reason), (str(refused), refused.reason)
            assert reason != "EVENTS_EXPIRED" or int(refused.metadata["oldest_index"]) >= 0


def backup(node, fresh):
    before = {s.session_id: name_of(s, "state") for s in node.call("ListSessions").sessions}
    jobs = [s.job_id for s in node.call("ListStatements", limit=1000, show=False).statements]
    pools_before = sorted(p.name for p in node.call("ListPools", show=False).pools)
    data, done, info = b"", None, None
    for part in node.stream("Backup", timeout=60):
        kind = part.WhichOneof("part")
        if kind == "info":
            info = part.info
        elif kind == "data":
            data += part.data
        else:
            done = part.done
    assert info and done and done.bytes == len(data) and data.startswith(b"LIBRABK1"), done
    assert done.sessions == len(before) and done.statements >= len(jobs), done
    print(f"Backup\n  -> {len(data)} bytes, {done.sessions} sessions, {done.statements} statements")

    def restore(bytes_, **start):
        request, call = fresh.method("Restore")
        CALLED.add("Restore")
        yield_from = [request(start=start)] + [request(data=bytes_[at:at + 65536]) for at in range(0, len(bytes_), 65536)]
        try:
            answer = call(iter(yield_from), timeout=60)
            print(f"Restore {start}\n  -> {json.dumps(json_format.MessageToDict(answer))[:400]}")
            return answer
        except grpc.RpcError as error:
            raise Refused(error) from None

    for bytes_, start, reason in [
        (data, {}, "OTHER_CLUSTER"),
        (data[:-9], {"other_cluster": True}, "MALFORMED_BACKUP"),
        (data[:200] + b"x" + data[201:], {"other_cluster": True}, "MALFORMED_BACKUP"),
    ]:
        try:
            restore(bytes_, **start)
            raise AssertionError(f"{reason}: was restored")
        except Refused as refused:
            assert refused.reason == reason, (str(refused), refused.reason)
    dry = restore(data, other_cluster=True, dry_run=True)
    assert dry.sessions == len(before) and dry.index == 0, dry
    restored = restore(data, other_cluster=True)
    assert restored.sessions == done.sessions and restored.statements == done.statements, restored
    after = {s.session_id for s in fresh.call("ListSessions").sessions}
    assert after == set(before), (before, after)
    assert [s.job_id for s in fresh.call("ListStatements", limit=1000, show=False).statements] == jobs
    assert sorted(p.name for p in fresh.call("ListPools").pools) == pools_before
    try:
        restore(data, other_cluster=True)
        raise AssertionError("restored twice")
    except Refused as refused:
        assert (refused.code, refused.reason) == ("FAILED_PRECONDITION", "NOT_FRESH"), str(refused)


def main(rest_url, fourth, fourth_grpc, fresh_grpc, *node_grpcs):
    rest = Rest(rest_url)
    nodes = [Client(address) for address in node_grpcs]
    health_and_reflection(nodes[0])
    other = sessions_and_statements(nodes[0], rest)
    moves(nodes[1], other)
    pools(nodes[2], rest)
    events(nodes)
    nodes_themselves(nodes[0])
    new = members(nodes, int(fourth), fourth_grpc)
    closed = nodes[1].call("CloseSession", session_id="cem")
    assert name_of(closed.session, "state") in ("SESSION_STATE_CLOSING", "SESSION_STATE_CLOSED"), closed
    until("the session to be closed", lambda: name_of(nodes[1].call("GetSession", show=False, session_id="cem").session, "state") == "SESSION_STATE_CLOSED")
    backup(new, Client(fresh_grpc))
    missed = {method.name for method in new.service.methods} - CALLED
    assert not missed, f"not called: {sorted(missed)}"
    print(f"all {len(CALLED)} calls of {SERVICE} were made")


if __name__ == "__main__":
    main(*sys.argv[1:])
