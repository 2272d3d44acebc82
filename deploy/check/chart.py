"""Checks the Helm chart: `chart.py CHART WORK_DIR [LIBRA]`.

For each value set in CHART/ci: helm lint, helm template, kubernetes-validate against the newest
schemas, and what no schema knows: whether nodes, names, ports and probes of the rendered objects go
together. With the path of the binary LIBRA it reads every pod's configuration as that pod would.
Then values that have to be refused.
"""

import os
import pathlib
import subprocess
import sys

import yaml

# Kinds of operators, whose schemas are not Kubernetes' own.
FOREIGN = {"ServiceMonitor"}
RELEASE, NAMESPACE = "r", "ns"
# What must be refused: `--set-json` of one value, and a word that the message has to have.
REFUSED = [
    ('replicas=2', "replicas"),
    ('replicas="3"', "replicas"),
    ('replicaCount=3', "replicaCount"),
    ('spark={"remote": []}', "spark.remote"),
    ('spark={"remote": ["spark:15002"]}', "remote"),
    ('config={"libra": {"node": {"id": 7}}}', "node"),
    ('config={"libra": {"cluster": {"peers": {}}}}', "peers"),
    ('config={"spark": {"remote": ["sc://x:1"]}}', "remote"),
    ('config={"server": {"port": 1}}', "server"),
    ('allocations="pools: none"', "allocations"),
    ('persistence={"accessModes": ["ReadWriteMany"]}', "accessModes"),
    ('persistence={"size": "lots"}', "size"),
    ('service={"port": 0}', "port"),
    ('podDisruptionBudget={"maxUnavailable": 0}', "maxUnavailable"),
    ('terminationGracePeriodSeconds=5', "terminationGracePeriodSeconds"),
    ('antiAffinity="maybe"', "antiAffinity"),
]


def run(*command, **kwargs):
    return subprocess.run(
        [str(part) for part in command], text=True, capture_output=True, check=False, **kwargs
    )


def must(*command, **kwargs):
    done = run(*command, **kwargs)
    if done.returncode != 0:
        sys.exit(f"FAILED: {' '.join(map(str, command))}\n{done.stdout}{done.stderr}")
    return done.stdout + done.stderr


def expect(holds, what):
    if not holds:
        sys.exit(f"FAILED: {what}")


def rendered(chart, values, work):
    file = work / f"{values.stem}.yaml"
    command = ["helm", "template", RELEASE, chart, "--namespace", NAMESPACE, "-f", values]
    file.write_text(must(*command))
    return file


def validate(file):
    said = must("kubernetes-validate", "--strict", file)
    unknown = [line for line in said.splitlines() if line.startswith("WARN")]
    strange = [line for line in unknown if not any(f"kind {kind} " in line for kind in FOREIGN)]
    expect(not strange, f"not validated: {strange}")
    print(f"  {said.count(' passed for resource ')} objects valid, {len(unknown)} of an operator")


def of_kind(objects, kind):
    return [it for it in objects if it["kind"] == kind]


def selects(selector, labels):
    return all(labels.get(key) == value for key, value in selector.items())


def check_objects(objects):
    """What goes wrong without any object being invalid. Returns StatefulSet and ConfigMap."""
    [pods], [config] = of_kind(objects, "StatefulSet"), of_kind(objects, "ConfigMap")
    spec = pods["spec"]
    template = spec["template"]
    labels = template["metadata"]["labels"]
    [container] = template["spec"]["containers"]
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    expect(spec["ordinals"]["start"] == 1, "the first pod is node 1")
    expect(spec["podManagementPolicy"] == "Parallel", "pods that wait for each other never form")

    services = {service["metadata"]["name"]: service["spec"] for service in of_kind(objects, "Service")}
    peers = services[spec["serviceName"]]
    expect(peers["clusterIP"] == "None", "peers have names of their own")
    expect(peers["publishNotReadyAddresses"], "peers are found before they are ready")
    [clients] = [it for name, it in services.items() if name != spec["serviceName"]]
    expect("publishNotReadyAddresses" not in clients, "clients go to nodes that are ready")
    for service in services.values():
        expect(selects(service["selector"], labels), "services select the pods")
        expect({port["targetPort"] for port in service["ports"]} <= set(ports), "ports are there")

    for budget in of_kind(objects, "PodDisruptionBudget"):
        expect(selects(budget["spec"]["selector"]["matchLabels"], labels), "the budget is the pods'")
    for policy in of_kind(objects, "NetworkPolicy"):
        expect(selects(policy["spec"]["podSelector"]["matchLabels"], labels), "so is the policy")
        grpc = [it for it in policy["spec"]["ingress"] if it["ports"][0]["port"] == "grpc"]
        expect(grpc and all(rule["from"] for rule in grpc), "gRPC is not for all")
    for monitor in of_kind(objects, "ServiceMonitor"):
        chosen = [it for it in of_kind(objects, "Service") if monitors(monitor["spec"]["selector"], it)]
        expect(len(chosen) == 1, "one service is monitored")

    probes = {name: container[f"{name}Probe"]["httpGet"]["path"] for name in ("startup", "liveness", "readiness")}
    health = "/actuator/health"
    expected = {"startup": f"{health}/liveness", "liveness": f"{health}/liveness", "readiness": f"{health}/readiness"}
    expect(probes == expected, f"probes ask {probes}")
    grace = template["spec"]["terminationGracePeriodSeconds"]
    pause = container.get("lifecycle", {}).get("preStop", {}).get("sleep", {}).get("seconds", 0)
    expect(grace - pause >= 25, "a pod has the time to leave its cluster")
    hardened = container["securityContext"]
    expect(hardened["readOnlyRootFilesystem"] and hardened["capabilities"]["drop"] == ["ALL"], "hardened")
    expect(template["spec"]["securityContext"]["runAsNonRoot"], "not root")
    mounts = {mount["name"] for mount in container["volumeMounts"]}
    claims = {claim["metadata"]["name"] for claim in spec["volumeClaimTemplates"]}
    expect(mounts == claims | {volume["name"] for volume in template["spec"]["volumes"]}, "volumes are mounted")
    return pods, config


def monitors(selector, service):
    labels = service["metadata"]["labels"]
    absent = [it["key"] for it in selector["matchExpressions"] if it["operator"] == "DoesNotExist"]
    return selects(selector["matchLabels"], labels) and not any(key in labels for key in absent)


def check_configuration(pods, config, folder, libra):
    """Every pod is at the address that its peers have of it, and reads its configuration."""
    name, spec = pods["metadata"]["name"], pods["spec"]
    text = config["data"]["application.yml"]
    peers = yaml.safe_load(text)["libra"]["cluster"].get("peers", {})
    ids = range(1, spec["replicas"] + 1)
    if spec["replicas"] > 1:
        domain = f"{spec['serviceName']}.{NAMESPACE}.svc.cluster.local"
        expect(peers == {str(id): f"{name}-{id}.{domain}:9090" for id in ids}, f"peers are {peers}")
    if libra is None:
        return
    folder.mkdir()
    for file, content in config["data"].items():
        # Mounted there in the pod, here beside each other.
        (folder / file).write_text(content.replace("/etc/libra/", ""))
    for id in ids:
        env = {key: value for key, value in os.environ.items() if not key.startswith("LIBRA_")}
        for variable in spec["template"]["spec"]["containers"][0]["env"]:
            source = variable.get("valueFrom", {})
            if "secretKeyRef" in source:
                value = "sc://secret:15002/;token=x"
            elif source:
                expect("pod-index" in source["fieldRef"]["fieldPath"], "the id is the ordinal")
                value = str(id)
            else:
                value = variable["value"]
            env[variable["name"]] = value
        said = must(libra, "serve", "--check", "--config", folder / "application.yml", env=env)
        expect(said.count("\n") == 1, f"warnings: {said}")
    print(f"  {len(ids)} configurations read")


def check_refusals(chart):
    good = chart / "ci" / "isolated-values.yaml"
    for value, word in REFUSED:
        done = run("helm", "template", RELEASE, chart, "-f", good, "--set-json", value)
        expect(done.returncode != 0, f"{value} was taken")
        expect(word in done.stderr, f"{value}: {done.stderr}")
    print(f"  {len(REFUSED)} wrong values refused")


def main():
    chart, work = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
    libra = pathlib.Path(sys.argv[3]) if len(sys.argv) > 3 else None
    sets = sorted((chart / "ci").glob("*.yaml"))
    expect(len(sets) >= 3, "three value sets or more")
    for values in sets:
        print(values.name)
        must("helm", "lint", "--strict", chart, "-f", values)
        file = rendered(chart, values, work)
        validate(file)
        objects = [it for it in yaml.safe_load_all(file.read_text()) if it]
        pods, config = check_objects(objects)
        check_configuration(pods, config, work / values.stem, libra)
    check_refusals(chart)


main()
