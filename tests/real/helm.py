#!/usr/bin/env python3
"""What 50-helm.sh asks about rendered manifests. Needs PyYAML.

    helm.py known FILE            the documents that Kubernetes itself knows, to standard output
    helm.py restricted FILE       fails unless every pod fits the pod security profile "restricted"
    helm.py carried FILE DEPLOY   fails unless the alerts and the dashboard are those of the folder deploy
    helm.py selectors FILE        fails unless each selector finds the pod, and each monitor a port that is there
    helm.py mount FILE DIR        the files of the ConfigMaps that the pod mounts, below DIR, as the kubelet puts and renews them
    helm.py empty DIR             the same for a ConfigMap without any key
"""

import json
import os
import pathlib
import secrets
import shutil
import sys

import yaml


class Strict(yaml.SafeLoader):
    """As the API server reads: a key that comes twice is an error."""

    def construct_mapping(self, node, deep=False):
        keys = [self.construct_object(key, deep=deep) for key, _ in node.value]
        if twice := {key for key in keys if keys.count(key) > 1}:
            raise yaml.constructor.ConstructorError(None, None, f"keys that come twice: {twice}", node.start_mark)
        return super().construct_mapping(node, deep)


def documents(path):
    return [document for document in yaml.load_all(pathlib.Path(path).read_text(), Strict) if document]


def pods(found):
    """(name of the object, specification of the pod)"""
    for document in found:
        name = f"{document['kind']} {document['metadata']['name']}"
        spec = document.get("spec", {})
        if document["kind"] == "Pod":
            yield name, spec
        elif document["kind"] == "Deployment":
            yield name, spec["template"]["spec"]
        elif document["kind"] == "CronJob":
            yield name, spec["jobTemplate"]["spec"]["template"]["spec"]


def known(path):
    print(yaml.safe_dump_all(document for document in documents(path) if "coreos.com" not in document["apiVersion"]))


def restricted(path):
    """https://kubernetes.io/docs/concepts/security/pod-security-standards/, and what we promise beyond it."""
    count = 0
    for name, spec in pods(documents(path)):
        count += 1
        of_pod = spec["securityContext"]
        problems = []
        if of_pod.get("runAsNonRoot") is not True or of_pod.get("runAsUser", 1) == 0:
            problems.append("may run as root")
        if of_pod.get("seccompProfile", {}).get("type") not in ("RuntimeDefault", "Localhost"):
            problems.append("no seccomp profile")
        if spec.get("hostNetwork") or spec.get("hostPID") or spec.get("hostIPC"):
            problems.append("a namespace of the host")
        if spec.get("automountServiceAccountToken") is not False:
            problems.append("a token of the Kubernetes API")
        for volume in spec.get("volumes", []):
            if not volume.keys() & {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"}:
                problems.append(f"volume {volume['name']}")
        for container in spec["containers"] + spec.get("initContainers", []):
            security = container["securityContext"]
            if security.get("allowPrivilegeEscalation") is not False or security["capabilities"]["drop"] != ["ALL"] or "add" in security["capabilities"]:
                problems.append(f"container {container['name']} may gain rights")
            if container["name"] == "retaind" and security.get("readOnlyRootFilesystem") is not True:
                problems.append("a root file system that can be written")
            if any("subPath" in mount for mount in container.get("volumeMounts", [])):
                problems.append(f"container {container['name']} mounts a subPath, which the kubelet never renews")
            mounted = {mount["name"] for mount in container.get("volumeMounts", [])}
            if missing := mounted - {volume["name"] for volume in spec.get("volumes", [])}:
                problems.append(f"no volume for {missing}")
        if problems:
            sys.exit(f"error: {path}: {name}: {', '.join(problems)}")
    if not count:
        sys.exit(f"error: {path} has no pod")


def carried(path, deploy):
    """With every switch on: the alerts but the one that is left out, with the label that is added, and the dashboard."""
    found = documents(path)
    source = yaml.safe_load((pathlib.Path(deploy) / "prometheus/alerts.yaml").read_text())
    wanted = {rule["alert"]: rule for group in source["groups"] for rule in group["rules"] if rule["alert"] != "RetaindPaused"}
    for rule in wanted.values():
        rule["labels"]["team"] = "platform"
    (rendered,) = [document["spec"]["groups"] for document in found if document["kind"] == "PrometheusRule"]
    if {rule["alert"]: rule for group in rendered for rule in group["rules"]} != wanted:
        sys.exit(f"error: {path}: the alerts are not those of deploy/prometheus")
    dashboards = [json.loads(text) for document in found if document["kind"] == "ConfigMap" for name, text in document["data"].items() if name.endswith(".json")]
    if dashboards != [json.loads((pathlib.Path(deploy) / "grafana/retaind.json").read_text())]:
        sys.exit(f"error: {path}: the dashboard is not that of deploy/grafana")


def selectors(path):
    found = documents(path)
    of_pods = [document["spec"].get("template", document["spec"].get("jobTemplate", {}).get("spec", {}).get("template")) for document in found if document["kind"] in ("Deployment", "CronJob")]
    for document in found:
        spec = document.get("spec", {})
        selector = {
            "Deployment": lambda: spec["selector"]["matchLabels"],
            "Service": lambda: spec["selector"],
            "NetworkPolicy": lambda: spec["podSelector"]["matchLabels"],
            "PodDisruptionBudget": lambda: spec["selector"]["matchLabels"],
        }.get(document["kind"])
        if selector and not all(selector().items() <= template["metadata"]["labels"].items() for template in of_pods):
            sys.exit(f"error: {path}: {document['kind']} does not select the pod")
    monitors(path, found)


def monitors(path, found):
    for document in found:
        selector = document.get("spec", {}).get("selector", {}).get("matchLabels", {}) if document["kind"] in ("ServiceMonitor", "PodMonitor") else None
        if selector is None:
            continue
        if document["kind"] == "ServiceMonitor":
            chosen = [(other["metadata"]["labels"], [port["name"] for port in other["spec"]["ports"]]) for other in found if other["kind"] == "Service"]
            endpoints = document["spec"]["endpoints"]
        else:
            templates = [other["spec"]["template"] for other in found if other["kind"] == "Deployment"]
            chosen = [(template["metadata"]["labels"], [port["name"] for container in template["spec"]["containers"] for port in container.get("ports", [])]) for template in templates]
            endpoints = document["spec"]["podMetricsEndpoints"]
        matched = [ports for labels, ports in chosen if selector.items() <= labels.items()]
        jobs = [labels.get(document["spec"].get("jobLabel")) for labels, _ in chosen if selector.items() <= labels.items()]
        if jobs != ["retaind"]:
            sys.exit(f"error: {path}: {document['kind']} makes jobs {jobs}, which the alerts do not know")
        if len(matched) != 1 or any(endpoint["port"] not in matched[0] for endpoint in endpoints):
            sys.exit(f"error: {path}: {document['kind']} selects {matched}")


def mounts(path):
    """(folder in the container, files) of each ConfigMap that the Deployment or CronJob mounts and the release has."""
    found = documents(path)
    data = {document["metadata"]["name"]: document.get("data") or {} for document in found if document["kind"] == "ConfigMap"}
    (spec,) = [spec for name, spec in pods(found) if not name.startswith("Pod ")]
    (container,) = [container for container in spec["containers"] if container["name"] == "retaind"]
    volumes = {volume["name"]: volume["configMap"]["name"] for volume in spec["volumes"] if "configMap" in volume}
    for mount in container["volumeMounts"]:
        name = volumes.get(mount["name"])
        if name in data:
            yield mount["mountPath"], data[name]


def mount(path, root):
    """Absolute paths within the files are moved below the root, too."""
    for folder, files in mounts(path):
        for prefix in ("/etc/retaind", "/var/lib/retaind", "/run/secrets/retaind"):
            files = {name: text.replace(f" {prefix}", f" {root}{prefix}") for name, text in files.items()}
        renew(pathlib.Path(root + folder), files)


def empty(folder):
    renew(pathlib.Path(folder), {})


def renew(target, files):
    """What the kubelet's atomic writer does: KEY -> ..data/KEY, ..data -> ..TIMESTAMP; renewed by one rename, then links of keys that are
    new or gone, then the old folder."""
    target.mkdir(parents=True, exist_ok=True)
    link = target / "..data"
    old = target / os.readlink(link) if link.is_symlink() else None
    new = target / f"..2026_01_01_00_00_00.{secrets.randbelow(10**9)}"
    new.mkdir()
    for name, text in files.items():
        (new / name).write_text(text)
    (target / "..data_tmp").symlink_to(new.name)
    os.rename(target / "..data_tmp", link)
    for name in files:
        if not (target / name).is_symlink():
            (target / name).symlink_to(f"..data/{name}")
    for entry in target.iterdir():
        if not entry.name.startswith("..") and entry.name not in files:
            entry.unlink()
    if old:
        shutil.rmtree(old)


COMMANDS = {"known": known, "restricted": restricted, "carried": carried, "selectors": selectors, "mount": mount, "empty": empty}
COMMANDS[sys.argv[1]](*sys.argv[2:])
