#!/usr/bin/env python3
"""What the README and the samples of Microsoft's SDK for container registries show, against an emulator.

    azure_samples.py sync|async ENDPOINT CA_FILE ADMIN

ADMIN is the emulator's admin endpoint. Needs azure-containerregistry and, for async, aiohttp. The identity is an Entra token of our own,
which the emulator does not check the signature of.
"""

import asyncio
import base64
import hashlib
import io
import json
import ssl
import sys
import time
import urllib.request

from azure.containerregistry import (
    ArtifactManifestOrder,
    ArtifactTagOrder,
    ContainerRegistryClient,
    DigestValidationError,
)
from azure.containerregistry.aio import ContainerRegistryClient as AsyncContainerRegistryClient
from azure.core.credentials import AccessToken
from azure.core.exceptions import ClientAuthenticationError, HttpResponseError, ResourceNotFoundError

AUDIENCE = "https://containerregistry.azure.net"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
DOCKER = "application/vnd.docker.distribution.manifest.v2+json"
EMPTY = "application/vnd.oci.empty.v1+json"


def entra_token(scopes, lifetime_seconds):
    """What azure-identity would give, unsigned."""
    audience = scopes[0].removesuffix("/.default")
    expires = int(time.time()) + lifetime_seconds
    claims = {"aud": audience, "oid": "someone", "tid": "tenant", "exp": expires}
    parts = [json.dumps(part).encode() for part in ({"alg": "none", "typ": "JWT"}, claims)] + [b"unsigned"]
    return AccessToken(".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts), expires)


class Identity:
    def __init__(self, lifetime_seconds=3600):
        self.lifetime_seconds = lifetime_seconds

    def get_token(self, *scopes, **_):
        return entra_token(scopes, self.lifetime_seconds)


class AsyncIdentity(Identity):
    async def get_token(self, *scopes, **_):
        return entra_token(scopes, self.lifetime_seconds)

    async def close(self):
        pass

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_):
        pass


class Sync:
    """The synchronous client, with the words of the asynchronous one."""

    identity = Identity

    def __init__(self, endpoint, ca_file, identity, audience=AUDIENCE):
        self.client = ContainerRegistryClient(endpoint, identity, audience=audience, connection_verify=ca_file)

    async def __aenter__(self):
        self.client.__enter__()
        return self

    async def __aexit__(self, *_):
        self.client.__exit__()

    async def do(self, method, *arguments, **keywords):
        return getattr(self.client, method)(*arguments, **keywords)

    async def pages(self, method, *arguments, **keywords):
        return [list(page) for page in getattr(self.client, method)(*arguments, **keywords).by_page()]

    async def blob(self, repository, digest):
        return b"".join(self.client.download_blob(repository, digest))


class Async(Sync):
    """The asynchronous client."""

    identity = AsyncIdentity

    def __init__(self, endpoint, ca_file, identity, audience=AUDIENCE):
        self.client = AsyncContainerRegistryClient(endpoint, identity, audience=audience, connection_verify=ca_file)

    async def __aenter__(self):
        await self.client.__aenter__()
        return self

    async def __aexit__(self, *_):
        await self.client.__aexit__()

    async def do(self, method, *arguments, **keywords):
        return await getattr(self.client, method)(*arguments, **keywords)

    async def pages(self, method, *arguments, **keywords):
        return [[item async for item in page] async for page in getattr(self.client, method)(*arguments, **keywords).by_page()]

    async def blob(self, repository, digest):
        stream = await self.client.download_blob(repository, digest)
        return b"".join([piece async for piece in stream])


class Samples:
    def __init__(self, kind, endpoint, ca_file, admin):
        self.kind, self.endpoint, self.ca_file, self.admin = kind, endpoint, ca_file, admin

    def client(self, identity, **keywords):
        return self.kind(self.endpoint, self.ca_file, identity, **keywords)

    def tell(self, path, body):
        """Tells the admin endpoint."""
        # Whatever proxy this machine has, it is not for loopback.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        request = urllib.request.Request(f"{self.admin}{path}", data=body.encode(), method="POST")
        with opener.open(request, timeout=10) as answer:
            expect(f"the admin endpoint at {path}", 204, answer.status)

    async def all(self):
        async with self.client(self.kind.identity()) as client:
            await self.images(client)
            await self.lists(client)
            await self.properties(client)
            await self.referrers(client)
            await self.wrong_answers(client)
            await self.deletions(client)
        await self.nobody()
        await self.refused()

    async def images(self, client):
        """Uploads an image by its parts, as the README does, and downloads it."""
        repository = "sample-oci-image"
        layer, config = b"Sample layer", json.dumps({"sample config": "content"}).encode()
        layer_digest, layer_size = await client.do("upload_blob", repository, io.BytesIO(layer))
        config_digest, config_size = await client.do("upload_blob", repository, io.BytesIO(config))
        expect("digests and sizes", [digest_of(layer), len(layer), digest_of(config), len(config)], [layer_digest, layer_size, config_digest, config_size])
        described = {
            # The size by its name in the README, which no specification knows.
            "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": config_digest, "sizeInBytes": config_size},
            "schemaVersion": 2,
            "layers": [
                {
                    "mediaType": "application/vnd.oci.image.layer.v1.tar",
                    "digest": layer_digest,
                    "size": layer_size,
                    "annotations": {"org.opencontainers.image.ref.name": "artifact.txt"},
                }
            ],
        }
        digest = await client.do("set_manifest", repository, described, tag="latest")
        for reference in ["latest", digest]:
            got = await client.do("get_manifest", repository, reference)
            expect("the manifest", [described, digest, MANIFEST], [got.manifest, got.digest, got.media_type])
        expect("the layer", layer, await client.blob(repository, layer_digest))
        expect("the config", config, await client.blob(repository, config_digest))
        # A blob of several pieces: the SDK sends and fetches 4 MiB at a time.
        large = bytes(range(256)) * (9 << 12)
        large_digest, _ = await client.do("upload_blob", repository, io.BytesIO(large))
        expect("a large blob", True, large == await client.blob(repository, large_digest))
        docker = {
            "schemaVersion": 2,
            "mediaType": DOCKER,
            "config": {"mediaType": "application/vnd.docker.container.image.v1+json", "digest": config_digest, "size": config_size},
            "layers": [{"mediaType": "application/vnd.docker.image.rootfs.diff.tar.gzip", "digest": large_digest, "size": len(large)}],
        }
        stream = io.BytesIO(json.dumps(docker).encode())
        # Blobs belong to a repository: one that was uploaded elsewhere is unknown here.
        try:
            await client.do("set_manifest", "sample-docker-image", stream, tag="latest", media_type=DOCKER)
            fail("a manifest whose blobs are elsewhere was taken")
        except HttpResponseError as error:
            expect("the status", 400, error.status_code)
        stream.seek(0)
        docker_digest = await client.do("set_manifest", repository, stream, tag="docker", media_type=DOCKER)
        got = await client.do("get_manifest", repository, "docker")
        expect("a Docker image", [DOCKER, docker_digest], [got.media_type, got.digest])
        await client.do("delete_manifest", repository, "docker")
        for layer in described["layers"] + [described["config"]]:
            await client.do("delete_blob", repository, layer["digest"])
        try:
            await client.blob(repository, layer_digest)
            fail("a deleted blob can still be downloaded")
        except ResourceNotFoundError:
            pass
        await client.do("delete_manifest", repository, digest)
        await client.do("delete_manifest", repository, digest)

    async def fill(self, client, repository, count):
        """Images v1, v2 …, oldest first; their digests."""
        blobs = [await client.do("upload_blob", repository, io.BytesIO(text)) for text in (b"{}", b"layer")]
        digests = []
        for number in range(1, count + 1):
            described = {
                "schemaVersion": 2,
                "mediaType": MANIFEST,
                "config": {"mediaType": EMPTY, "digest": blobs[0][0], "size": blobs[0][1]},
                "layers": [{"mediaType": EMPTY, "digest": blobs[1][0], "size": blobs[1][1]}],
                "annotations": {"number": f"{repository} {number}"},
            }
            digests.append(await client.do("set_manifest", repository, described, tag=f"v{number}"))
        return digests

    async def lists(self, client):
        """Repositories, tags and manifests, by page and in each order."""
        self.digests = await self.fill(client, "library/hello-world", 7)
        await self.fill(client, "library/nginx", 1)
        pages = await client.pages("list_repository_names", results_per_page=1)
        expect("repositories by page", [["library/hello-world"], ["library/nginx"]], pages)
        versions = [f"v{number}" for number in range(1, 8)]
        for order, expected in [
            (None, versions),
            (ArtifactTagOrder.LAST_UPDATED_ON_ASCENDING, versions),
            (ArtifactTagOrder.LAST_UPDATED_ON_DESCENDING, versions[::-1]),
        ]:
            pages = await client.pages("list_tag_properties", "library/hello-world", order_by=order, results_per_page=3)
            expect(f"tags by {order}", [expected[:3], expected[3:6], expected[6:]], [[tag.name for tag in page] for page in pages])
        for order, expected in [
            (None, sorted(self.digests)),
            (ArtifactManifestOrder.LAST_UPDATED_ON_ASCENDING, self.digests),
            (ArtifactManifestOrder.LAST_UPDATED_ON_DESCENDING, self.digests[::-1]),
        ]:
            pages = await client.pages("list_manifest_properties", "library/hello-world", order_by=order, results_per_page=2)
            found = [[manifest.digest for manifest in page] for page in pages]
            expect(f"manifests by {order}", [expected[:2], expected[2:4], expected[4:6], expected[6:]], found)

    async def properties(self, client):
        """Reads and locks a repository, a manifest and a tag."""
        repository = "library/hello-world"
        whole = await client.do("get_repository_properties", repository)
        expect("a repository", [7, 7, True], [whole.manifest_count, whole.tag_count, whole.can_delete])
        tag = await client.do("get_tag_properties", repository, "v1")
        expect("a tag", [self.digests[0], True], [tag.digest, tag.last_updated_on == tag.created_on])
        manifest = await client.do("get_manifest_properties", repository, "v1")
        expect("a manifest", [self.digests[0], ["v1"], repository], [manifest.digest, manifest.tags, manifest.repository_name])
        await client.do("update_manifest_properties", repository, "v1", can_write=False, can_delete=False)
        await refused_with(405, client.do("delete_manifest", repository, "v1"))
        await client.do("update_tag_properties", repository, "v1", can_delete=False)
        await refused_with(405, client.do("delete_tag", repository, "v1"))
        updated = await client.do("update_repository_properties", repository, can_delete=False, can_write=False)
        expect("a locked repository", [False, False, True], [updated.can_delete, updated.can_write, updated.can_list])
        await refused_with(405, client.do("delete_repository", repository))
        await client.do("update_repository_properties", repository, can_delete=True, can_write=True)
        await client.do("update_tag_properties", repository, "v1", can_delete=True)
        opened = await client.do("update_manifest_properties", repository, "v1", can_write=True, can_delete=True)
        expect("an opened manifest", [True, True], [opened.can_delete, opened.can_write])
        after = await client.do("get_tag_properties", repository, "v1")
        expect("the times after locking", [tag.created_on, tag.last_updated_on], [after.created_on, after.last_updated_on])

    async def referrers(self, client):
        """Artifacts with a subject, as oras attaches them: they are listed, by type, and go with their subject."""
        repository = "library/nginx"
        subject = await client.do("get_manifest", repository, "v1")
        described = {"mediaType": subject.media_type, "digest": subject.digest, "size": len(json.dumps(subject.manifest))}
        empty, _ = await client.do("upload_blob", repository, io.BytesIO(b"{}"))
        empty = {"mediaType": EMPTY, "digest": empty, "size": 2}
        attached = {}
        for kind in ["application/spdx+json", "application/vnd.cncf.notary.signature"]:
            artifact = {"schemaVersion": 2, "mediaType": MANIFEST, "artifactType": kind, "config": empty, "layers": [empty], "subject": described}
            attached[kind] = await client.do("set_manifest", repository, artifact)
        listed = self.list_referrers(repository, subject.digest)
        expect("the referrers", attached, {item["artifactType"]: item["digest"] for item in listed})
        one = self.list_referrers(repository, subject.digest, "?artifactType=application/spdx%2Bjson")
        expect("the referrers of one type", [attached["application/spdx+json"]], [item["digest"] for item in one])
        await client.do("delete_manifest", repository, subject.digest)
        for digest in attached.values():
            await missing(client.do("get_manifest", repository, digest))

    def list_referrers(self, repository, digest, query=""):
        """The SDK has no call for it. Anybody may read here, with a token for nobody."""
        opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=ssl.create_default_context(cafile=self.ca_file))
        )
        form = f"grant_type=password&service=registry&scope=repository:{repository}:pull&refresh_token=".encode()
        with opener.open(f"{self.endpoint}/oauth2/token", data=form, timeout=10) as answer:
            token = json.load(answer)["access_token"]
        request = urllib.request.Request(f"{self.endpoint}/v2/{repository}/referrers/{digest}{query}", headers={"Authorization": f"Bearer {token}"})
        with opener.open(request, timeout=10) as answer:
            return json.load(answer)["manifests"]

    async def wrong_answers(self, client):
        """The SDK waits when it is told to, and sees digests that are not right."""
        repository = "library/hello-world"
        self.tell("/faults", 'GET /_tags/v2 times 2 status 429 header "Retry-After: 1"')
        began = time.monotonic()
        expect("a tag after waiting", "v2", (await client.do("get_tag_properties", repository, "v2")).name)
        expect("that it waited", True, 1.9 < time.monotonic() - began)
        for fault in ["wrong-digest", "wrong-bytes"]:
            self.tell("/faults", f"GET /v2/{{name}}/manifests/{{reference}} always {fault}")
            try:
                await client.do("get_manifest", repository, "v2")
                fail(f"the SDK did not see {fault}")
            except DigestValidationError:
                pass
            self.clear_faults()

    def clear_faults(self):
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        opener.open(urllib.request.Request(f"{self.admin}/faults", method="DELETE"), timeout=10).close()

    async def deletions(self, client):
        """Removes tags, all but the newest images, and a repository."""
        repository = "library/hello-world"
        await client.do("delete_tag", repository, "v7")
        await client.do("delete_tag", repository, "v7")
        await missing(client.do("get_tag_properties", repository, "v7"))
        expect("an untagged manifest", self.digests[6], (await client.do("get_manifest", repository, self.digests[6])).digest)
        pages = await client.pages("list_manifest_properties", repository, order_by=ArtifactManifestOrder.LAST_UPDATED_ON_DESCENDING)
        for manifest in [manifest for page in pages for manifest in page][3:]:
            await client.do("update_manifest_properties", repository, manifest.digest, can_write=True, can_delete=True)
            await client.do("delete_manifest", repository, manifest.digest)
        left = [manifest.digest for page in await client.pages("list_manifest_properties", repository) for manifest in page]
        expect("the newest three", sorted(self.digests[4:]), left)
        await missing(client.do("get_tag_properties", repository, "v1"))
        await self.fill(client, "library/short-lived", 2)
        await client.do("delete_repository", "library/short-lived")
        await missing(client.do("get_repository_properties", "library/short-lived"))
        await client.do("delete_repository", "library/short-lived")

    async def nobody(self):
        """Reads without an identity, and may not delete."""
        async with self.client(None) as client:
            manifest = await client.do("get_manifest_properties", "library/hello-world", "v6")
            expect("tags for anybody", ["v6"], manifest.tags)
            expect("repositories for anybody", [["library/hello-world"]], await client.pages("list_repository_names"))
            await refused_with(401, client.do("delete_repository", "library/hello-world"))

    async def refused(self):
        """Tokens for another audience, or over, are not taken."""
        async with self.client(self.kind.identity(), audience="https://graph.microsoft.com") as client:
            await refused_with(401, client.do("get_repository_properties", "library/hello-world"))
        async with self.client(self.kind.identity(lifetime_seconds=-60)) as client:
            await refused_with(401, client.do("get_repository_properties", "library/hello-world"))
        async with self.client(self.kind.identity(), audience="https://management.azure.com") as client:
            expect("the older audience", 3, (await client.do("get_repository_properties", "library/hello-world")).manifest_count)


async def refused_with(status, request):
    try:
        await request
    except (ClientAuthenticationError, HttpResponseError) as error:
        expect("the status of a refusal", status, error.status_code)
        return
    fail(f"what should be refused with {status} was done")


async def missing(request):
    try:
        await request
    except ResourceNotFoundError:
        return
    fail("what should be gone is there")


def digest_of(data):
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def expect(what, expected, found):
    if found != expected:
        fail(f"{what}: expected {expected}, found {found}")


def fail(message):
    sys.exit(f"error: {message}")


def main():
    kind, endpoint, ca_file, admin = sys.argv[1:]
    began = time.monotonic()
    asyncio.run(Samples({"sync": Sync, "async": Async}[kind], endpoint, ca_file, admin).all())
    print(f"the samples with the {kind} client: done in {time.monotonic() - began:.1f} s")


main()
