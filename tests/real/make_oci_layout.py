#!/usr/bin/env python3
"""Writes an OCI image layout for the tests with other people's tools, and beside it what is in it.

    make_oci_layout.py LAYOUT

The layout holds two releases for two platforms each, which share the image of one platform; for each release a signature in the form
that cosign tags (`sha256-<hex>.sig`), a list of its parts that refers to it (`subject`), and a signature that refers to that list; and
two images of one platform. The bytes are the same in every run. `LAYOUT/facts.json` names the digests.
"""

import gzip
import hashlib
import io
import json
import pathlib
import sys
import tarfile

INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
EMPTY = "application/vnd.oci.empty.v1+json"


class Layout:
    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.blobs = self.folder / "blobs" / "sha256"
        self.blobs.mkdir(parents=True)
        self.references = []

    def blob(self, media_type, data):
        """Stores the bytes and describes them."""
        digest = hashlib.sha256(data).hexdigest()
        (self.blobs / digest).write_bytes(data)
        return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(data)}

    def document(self, media_type, content):
        content = {"schemaVersion": 2, "mediaType": media_type, **content}
        return self.blob(media_type, json.dumps(content, indent=2).encode())

    def name(self, descriptor, reference):
        """Lists the descriptor under a name, so that `oci:LAYOUT:NAME` finds it."""
        self.references.append({**descriptor, "annotations": {"org.opencontainers.image.ref.name": reference}})

    def close(self, facts):
        (self.folder / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
        index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": self.references}
        (self.folder / "index.json").write_text(json.dumps(index, indent=2))
        (self.folder / "facts.json").write_text(json.dumps(facts, indent=2))


def layer(path, text):
    """A tar with one file in gzip, and the digest of the tar."""
    unpacked = io.BytesIO()
    with tarfile.open(fileobj=unpacked, mode="w") as archive:
        entry = tarfile.TarInfo(path)
        entry.size = len(text)
        archive.addfile(entry, io.BytesIO(text.encode()))
    tar = unpacked.getvalue()
    return gzip.compress(tar, mtime=0), "sha256:" + hashlib.sha256(tar).hexdigest()


def image(layout, platform, texts):
    """An image for one platform, a layer for each text. Gives its descriptor."""
    packed = [layer(f"etc/{number}", text) for number, text in enumerate(texts)]
    rootfs = {"type": "layers", "diff_ids": [diff_id for _, diff_id in packed]}
    config = json.dumps({**platform, "config": {"Cmd": ["/bin/true"]}, "rootfs": rootfs}).encode()
    layers = [layout.blob(LAYER, data) for data, _ in packed]
    manifest = layout.document(MANIFEST, {"config": layout.blob(CONFIG, config), "layers": layers})
    return {**manifest, "platform": platform}


def companion(layout, subject):
    """A signature as cosign stores it: an image that only its tag ties to what it signs."""
    payload = json.dumps({"critical": {"image": {"docker-manifest-digest": subject["digest"]}}}).encode()
    config = json.dumps({"architecture": "", "os": "", "config": {}, "rootfs": {"type": "layers", "diff_ids": []}}).encode()
    signed = layout.blob("application/vnd.dev.cosign.simplesigning.v1+json", payload)
    signed["annotations"] = {"dev.cosignproject.cosign/signature": "bm90IGEgc2lnbmF0dXJl"}
    manifest = layout.document(MANIFEST, {"config": layout.blob(CONFIG, config), "layers": [signed]})
    layout.name(manifest, subject["digest"].replace(":", "-") + ".sig")
    return manifest


def referrer(layout, subject, artifact_type, text):
    """A manifest that says itself what it is about."""
    content = {
        "artifactType": artifact_type,
        "config": layout.blob(EMPTY, b"{}"),
        "layers": [layout.blob(artifact_type, text.encode())],
        "subject": {key: subject[key] for key in ("mediaType", "digest", "size")},
    }
    return layout.document(MANIFEST, content)


def release(layout, version, shared):
    """A release with all that belongs to it. Gives the digests by what they are."""
    native = image(layout, {"architecture": "amd64", "os": "linux"}, ["base", f"release {version}"])
    index = layout.document(INDEX, {"manifests": [native, shared]})
    layout.name(index, version)
    parts = referrer(layout, index, "application/spdx+json", f'{{"parts of": "{version}"}}')
    signature = referrer(layout, parts, "application/vnd.cncf.notary.signature", f"signature of the parts of {version}")
    return {
        "index": index["digest"],
        "native": native["digest"],
        "shared": shared["digest"],
        "companion": companion(layout, index)["digest"],
        "parts": parts["digest"],
        "signature": signature["digest"],
    }


def main():
    layout = Layout(sys.argv[1])
    shared = image(layout, {"architecture": "arm64", "os": "linux", "variant": "v8"}, ["base", "the same in both releases"])
    facts = {version: release(layout, version, shared) for version in ("1.0.0", "2.0.0")}
    for name in ("first", "second"):
        single = image(layout, {"architecture": "amd64", "os": "linux"}, ["base", name])
        layout.name(single, name)
        facts[name] = {"image": single["digest"]}
    layout.close(facts)


main()
