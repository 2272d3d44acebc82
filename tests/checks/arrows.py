"""Fails when a dependency or a name crosses an arrow that may not exist (ARCHITECTURE.md).

Dependencies are read from `cargo metadata`, names from the sources of the pure modules.
"""

import json
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]

# crate: the Libra crates it may declare, for any purpose
MAY_DECLARE = {
    "libra-proto": set(),
    "libra-raft": {"libra-proto"},
    "libra-actors": {"libra-proto"},
    "libra-coordinator": {"libra-proto", "libra-raft", "libra-actors"},
    "libra-tests": {"libra-proto", "libra-raft", "libra-actors", "libra-coordinator"},
}
# Only the coordinator knows HTTP frameworks, configuration, the command line and log output.
EDGE = {"axum", "clap", "tracing-subscriber", "serde-saphyr", "reqwest", "utoipa"}
# crate: what it may not declare itself (tonic brings axum and tokio by itself)
MAY_NOT_DECLARE = {
    "libra-proto": EDGE | {"tokio", "hyper", "ractor", "openraft", "sled"},
    "libra-raft": EDGE | {"ractor"},
    "libra-actors": EDGE | {"openraft", "sled"},
}
# crate: what it may not reach at all, by normal and build dependencies
MAY_NOT_REACH = {
    "libra-proto": {"ractor", "openraft", "sled"},
    "libra-raft": {"ractor", "libra-actors", "libra-coordinator"},
    "libra-actors": {"openraft", "sled", "libra-raft", "libra-coordinator"},
}
# Modules that decide and do nothing else: time and ids are arguments.
PURE = [
    "actors/src/fair/**/*.rs",
    "actors/src/scheduler/arbiter/round.rs",
    "actors/src/supervisor/restart.rs",
    "actors/src/supervisor/roster.rs",
    "actors/src/lease/clocks.rs",
    "actors/src/lease/owner.rs",
    "actors/src/statement/machine/*.rs",
    "coordinator/src/cli/admin/doctor/facts.rs",
    "coordinator/src/cli/admin/doctor/judge/**/*.rs",
    "coordinator/src/cli/admin/doctor/report.rs",
    "coordinator/src/cli/admin/view/*.rs",
    "coordinator/src/cli/top/screen.rs",
    "coordinator/src/pool_metrics/tally.rs",
    "proto/src/types/**/*.rs",
    "raft/src/formation/decide.rs",
    "raft/src/registry/**/*.rs",
]
MUST_EXIST = ["actors/src/fair", "raft/src/registry"]
IMPURE = re.compile(
    r"\b(tokio|ractor|tonic|openraft|sled|tracing|rand|reqwest)::|"
    r"\bstd::(fs|net|thread|process|env)\b|"
    r"\b(Instant|SystemTime|Utc|Local)::now\b|\bUuid::(new_v4|now_v7)\b"
)


def metadata():
    command = ["cargo", "metadata", "--format-version", "1", "--locked", "--all-features"]
    done = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE)
    return json.loads(done.stdout)


def declared(package):
    return {dependency["name"] for dependency in package["dependencies"]}


def reached(start, nodes):
    """Ids that `start` reaches without dev-dependencies."""
    seen, todo = set(), [start]
    while todo:
        for dependency in nodes[todo.pop()]["deps"]:
            kinds = {kind["kind"] for kind in dependency["dep_kinds"]}
            if kinds != {"dev"} and dependency["pkg"] not in seen:
                seen.add(dependency["pkg"])
                todo.append(dependency["pkg"])
    return seen


def crossed_by_dependencies(data):
    packages = {package["id"]: package for package in data["packages"]}
    nodes = {node["id"]: node for node in data["resolve"]["nodes"]}
    members = {packages[member]["name"]: packages[member] for member in data["workspace_members"]}
    for unknown in sorted(members.keys() - MAY_DECLARE.keys()):
        yield f"{unknown}: a crate without arrows; name it in {pathlib.Path(__file__).name}"
    for name, package in sorted(members.items()):
        libra = {d for d in declared(package) if d in members}
        for bad in sorted(libra - MAY_DECLARE.get(name, libra)):
            yield f"{name} -> {bad}: may not be declared"
        for bad in sorted(declared(package) & MAY_NOT_DECLARE.get(name, set())):
            yield f"{name} -> {bad}: may not be declared"
        names = {packages[node]["name"] for node in reached(package["id"], nodes)}
        for bad in sorted(names & MAY_NOT_REACH.get(name, set())):
            yield f"{name} -> ... -> {bad}: may not be reached"


def code_lines(text):
    """Numbered lines of code: comments and a test module at the end of the file are left out."""
    text = re.split(r"^#\[cfg\(test\)\]\n(?:#\[.*\]\n)*mod \w+ \{", text, maxsplit=1, flags=re.M)[0]
    for number, line in enumerate(text.splitlines(), start=1):
        yield number, line.split("//", 1)[0]


def crossed_by_names():
    for must in MUST_EXIST:
        if not (ROOT / must).is_dir():
            yield f"{must}: the pure module is not there"
    for path in sorted({path for pattern in PURE for path in ROOT.glob(pattern)}):
        if path.name == "tests.rs" or "tests" in path.relative_to(ROOT).parts:
            continue
        for number, line in code_lines(path.read_text(encoding="utf-8")):
            found = IMPURE.search(line)
            if found:
                yield f"{path.relative_to(ROOT)}:{number}: pure, but names {found.group(0)}"


def main():
    crossed = [*crossed_by_dependencies(metadata()), *crossed_by_names()]
    print("\n".join(crossed) or "no forbidden arrow")
    return 1 if crossed else 0


if __name__ == "__main__":
    sys.exit(main())
