#!/usr/bin/env python3
"""Microsoft's SDK for container registries against an emulator that a daemon cleans.

    azure_sdk.py fill ENDPOINT CA_FILE EXPECTED             pushes, tags and locks; writes what must survive to EXPECTED
    azure_sdk.py daemon ENDPOINT CA_FILE EXPECTED SERVER    waits for the daemon's first runs; its status and metrics agree with EXPECTED
    azure_sdk.py survivors ENDPOINT CA_FILE EXPECTED        the registry holds what EXPECTED says, whole, and nothing else

Needs azure-containerregistry. The identity is an Entra token of our own, which the emulator does not check the signature of.
"""

import base64
import io
import json
import re
import sys
import time
import urllib.request
from datetime import datetime

from azure.containerregistry import ContainerRegistryClient
from azure.core.credentials import AccessToken
from azure.core.exceptions import ResourceNotFoundError

AUDIENCE = "https://containerregistry.azure.net"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"
SIGNATURE = "application/vnd.dev.sigstore.bundle.v0.3+json"
# A minute to the next scheduled time, six seconds that starts are spread over, and as long again for a slow machine.
RUNS_WITHIN_SECONDS = 130


class Identity:
    """What azure-identity would be: gives Entra tokens, here unsigned ones."""

    def get_token(self, *scopes, **_):
        assert scopes == (f"{AUDIENCE}/.default",), scopes
        expires = int(time.time()) + 3600
        claims = {"aud": AUDIENCE, "iss": "https://sts.windows.net/tenant/", "oid": "someone", "tid": "tenant", "exp": expires}
        parts = [json.dumps(part).encode() for part in ({"alg": "none", "typ": "JWT"}, claims)] + [b"unsigned"]
        return AccessToken(".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts), expires)


class Filler:
    """Pushes into one repository, and keeps the digest of each blob and manifest."""

    def __init__(self, client, repository):
        self.client, self.repository = client, repository

    def blob(self, media_type, data):
        digest, size = self.client.upload_blob(self.repository, io.BytesIO(data))
        return {"mediaType": media_type, "digest": digest, "size": size}

    def manifest(self, media_type, content, tag=None):
        data = json.dumps({"schemaVersion": 2, "mediaType": media_type, **content}).encode()
        digest = self.client.set_manifest(self.repository, io.BytesIO(data), tag=tag, media_type=media_type)
        return {"mediaType": media_type, "digest": digest, "size": len(data)}

    def image(self, name, architecture="amd64", tag=None):
        config = {"architecture": architecture, "os": "linux", "rootfs": {"type": "layers", "diff_ids": []}, "config": {"Labels": {"name": name}}}
        described = {"config": self.blob(CONFIG, json.dumps(config).encode()), "layers": [self.blob(LAYER, f"layer of {name}".encode() * 1000)]}
        return self.manifest(MANIFEST, described, tag)

    def signature(self, subject):
        payload = self.blob(SIGNATURE, json.dumps({"signs": subject["digest"]}).encode())
        empty = self.blob("application/vnd.oci.empty.v1+json", b"{}")
        return self.manifest(MANIFEST, {"artifactType": SIGNATURE, "config": empty, "layers": [payload], "subject": subject})


def fill(client):
    web = fill_web(Filler(client, "team/web"))
    app = fill_app(Filler(client, "ci/app"))
    return {"team/web": web, "ci/app": app}


def fill_web(web):
    """Three releases for two platforms, each with a signature that refers to it. One platform's image is shared by all."""
    shared = web.image("shared", "arm64")
    releases = {}
    for version in ["1.0.0", "1.1.0", "2.0.0"]:
        native = web.image(f"native {version}")
        children = [native | {"platform": {"os": "linux", "architecture": "amd64"}}, shared | {"platform": {"os": "linux", "architecture": "arm64"}}]
        index = web.manifest(INDEX, {"manifests": children}, version)
        releases[version] = [part["digest"] for part in (index, native, web.signature(index))]
    # A release that somebody locked stays, and all that belongs to it.
    web.client.update_tag_properties(web.repository, "1.1.0", can_delete=False)
    return {
        "policy": "releases",
        "tags": ["1.1.0", "2.0.0"],
        "manifests": releases["1.1.0"] + releases["2.0.0"] + [shared["digest"]],
        "deleted": releases["1.0.0"],
        "untagged": 0,
    }


def fill_app(app):
    """Twelve pull requests and the main branch. One image has another tag that stays, one is locked."""
    images = {f"pr-{number}": app.image(f"request {number}", tag=f"pr-{number}")["digest"] for number in range(1, 13)}
    golden = app.client.get_manifest(app.repository, "pr-3")
    app.client.set_manifest(app.repository, io.BytesIO(json.dumps(golden.manifest).encode()), tag="golden", media_type=golden.media_type)
    app.client.update_manifest_properties(app.repository, images["pr-12"], can_delete=False)
    # The last, because a policy keeps all tags of the newest image.
    main = app.image("main", tag="main")["digest"]
    kept = [images.pop("pr-3"), images.pop("pr-12"), main]
    return {
        "policy": "pull-requests",
        "tags": ["golden", "main", "pr-12"],
        "manifests": kept,
        "deleted": list(images.values()),
        "untagged": 1,
    }


def check_survivors(client, expected):
    # Pages of two, so that there are several.
    expect("repositories", sorted(expected), sorted(client.list_repository_names(results_per_page=2)))
    for repository, what in expected.items():
        tags = [tag.name for tag in client.list_tag_properties(repository, results_per_page=2)]
        expect(f"the tags of {repository}", what["tags"], sorted(tags))
        manifests = [manifest.digest for manifest in client.list_manifest_properties(repository, results_per_page=2)]
        expect(f"the manifests of {repository}", sorted(what["manifests"]), sorted(manifests))
        for digest in what["manifests"]:
            check_whole(client, repository, digest)
        for digest in what["deleted"]:
            try:
                client.get_manifest(repository, digest)
                sys.exit(f"error: {repository}@{digest} can still be pulled")
            except ResourceNotFoundError:
                pass
        print(f"{repository}: {len(tags)} tags and {len(manifests)} manifests as expected, {len(what['deleted'])} manifests gone")


def check_whole(client, repository, digest):
    """The SDK compares what it pulls with its digest."""
    manifest = client.get_manifest(repository, digest).manifest
    for child in manifest.get("manifests", []):
        client.get_manifest(repository, child["digest"])
    for blob in [manifest["config"], *manifest["layers"]] if "config" in manifest else []:
        pulled = b"".join(client.download_blob(repository, blob["digest"]))
        expect(f"the size of {blob['digest']}", blob["size"], len(pulled))


def check_daemon(server, expected):
    before = json.loads(get(f"{server}/api/v1/status"))
    expect("the daemon is ready", True, before["ready"])
    deadline = time.monotonic() + RUNS_WITHIN_SECONDS
    while True:
        status = json.loads(get(f"{server}/api/v1/status"))
        if all(policy["last_run"] for policy in status["policies"]):
            break
        if deadline < time.monotonic():
            sys.exit(f"error: no run of both policies within {RUNS_WITHIN_SECONDS} s: {json.dumps(status, indent=2)}")
        time.sleep(0.5)
    policies = {policy["name"]: policy for policy in status["policies"]}
    expect("the policies of the status", sorted(what["policy"] for what in expected.values()), sorted(policies))
    metrics = Metrics(get(f"{server}/metrics"))
    for what in expected.values():
        check_status(policies[what["policy"]], status)
        check_metrics(metrics, policies[what["policy"]], what)


def check_status(policy, status):
    run = policy["last_run"]
    expect(f"how {policy['name']} ended", ("succeeded", None), (run["outcome"], run["explanation"]))
    expect("its place", ("emulated", "enforce", "* * * * *"), (policy["registry"], policy["mode"], policy["schedule"]))
    times = [status["started_at"], run["started_at"], run["ended_at"], policy["next_run_at"]]
    moments = [moment(time) for time in times]
    expect(f"the order of {times}", sorted(moments), moments)
    # Starts are spread over a tenth of the interval.
    if 7 < moments[1] % 60:
        sys.exit(f"error: {policy['name']} began at {run['started_at']}, not at its minute")


def check_metrics(metrics, policy, what):
    name, deleted, kept = policy["name"], len(what["deleted"]), len(what["manifests"])
    wanted = {
        "retaind_policy_runs_total": 1,
        "retaind_policy_run_failures_total": 0,
        "retaind_policy_runs_skipped_total": 0,
        "retaind_policy_running": 0,
        "retaind_policy_interval_seconds": 60,
        "retaind_guard_refusals_total": 0,
        "retaind_manifests_scanned_total": deleted + kept,
        "retaind_manifests_would_delete": deleted,
        "retaind_manifests_deleted_total": deleted,
        "retaind_manifests_kept": kept,
        "retaind_tags_untagged_total": what["untagged"],
        "retaind_delete_failures_total": 0,
        "retaind_steps_skipped_total": 0,
    }
    found = {metric: metrics.sum(metric, policy=name, registry="emulated") for metric in wanted}
    expect(f"the metrics of {name}", wanted, found)
    ended = moment(policy["last_run"]["ended_at"])
    for metric in ["retaind_policy_last_run_timestamp_seconds", "retaind_policy_last_success_timestamp_seconds"]:
        # The two are given with different precision.
        if 1 < abs(metrics.sum(metric, policy=name) - ended):
            sys.exit(f"error: {metric} of {name} is {metrics.sum(metric, policy=name)}, its run ended at {ended}")
    if metrics.sum("retaind_deleted_bytes_estimate_total", policy=name) <= 0:
        sys.exit(f"error: {name} deleted {deleted} manifests of no size")
    print(f"{name}: " + ", ".join(f"{metric.removeprefix('retaind_')} {value:g}" for metric, value in found.items() if value))


class Metrics:
    """A page in the text format of Prometheus."""

    def __init__(self, page):
        self.series = []
        for line in page.splitlines():
            if line and not line.startswith("#"):
                name, labels, value = re.fullmatch(r"(\w+)(?:\{(.*)\})? (\S+)", line).groups()
                self.series.append((name, dict(re.findall(r'(\w+)="([^"]*)"', labels or "")), float(value)))

    def sum(self, name, **labels):
        found = [value for found, carried, value in self.series if found == name and labels.items() <= carried.items()]
        if not found:
            sys.exit(f"error: there is no {name} with {labels}")
        return sum(found)


def get(url):
    # Whatever proxy this machine has, it is not for loopback.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(url, timeout=10) as answer:
        return answer.read().decode()


def moment(text):
    """Seconds since 1970. Python reads six digits of a second at most."""
    return datetime.fromisoformat(re.sub(r"(\.\d{1,6})\d*", r"\1", text).replace("Z", "+00:00")).timestamp()


def expect(what, expected, found):
    if found != expected:
        sys.exit(f"error: {what}: expected {expected}, found {found}")


def main():
    command, endpoint, ca_file, expected_file, *rest = sys.argv[1:]
    if command == "daemon":
        check_daemon(rest[0], json.load(open(expected_file)))
        return
    with ContainerRegistryClient(endpoint, Identity(), audience=AUDIENCE, connection_verify=ca_file) as client:
        if command == "fill":
            json.dump(fill(client), open(expected_file, "w"), indent=2)
        else:
            check_survivors(client, json.load(open(expected_file)))


main()
