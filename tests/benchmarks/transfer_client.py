"""One blob pulled to a file or pushed from one, in a process of its own: `NAME pull|push HOST REPOSITORY DIGEST FILE`.

Prints the seconds that it took, without the imports, and the most memory that the process had. This file runs in the
peers' environment too, so what it imports is the client that it measures.
"""

from __future__ import annotations

import hashlib
import json
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path

Do = Callable[[str, str, str], None]  # repository, digest and file


def regscope(host: str) -> tuple[Do, Do]:
    """`Blob.download`, which verifies, and `Blob.upload`."""
    from regscope.registry.blobs import Blob
    from regscope.registry.client import DockerRegistryV2Client

    client = DockerRegistryV2Client(f"http://{host}")
    return (
        lambda repository, digest, file: Blob(repository, digest, file, client=client).download(),
        lambda repository, digest, file: Blob(repository, digest, file, client=client).upload() and None,
    )


def bare_loop(host: str) -> tuple[Do, Do]:
    """`requests` in chunks of 1 MiB and hashlib, to a file; a monolithic PUT."""
    import requests

    def pull(repository: str, digest: str, file: str) -> None:
        hasher = hashlib.sha256()
        url = f"http://{host}/v2/{repository}/blobs/{digest}"
        with requests.get(url, stream=True) as answer, Path(file).open("wb") as out:
            for chunk in answer.iter_content(2**20):
                hasher.update(chunk)
                out.write(chunk)
        assert f"sha256:{hasher.hexdigest()}" == digest

    def push(repository: str, digest: str, file: str) -> None:
        opened = requests.post(f"http://{host}/v2/{repository}/blobs/uploads/")
        with Path(file).open("rb") as content:
            done = requests.put(f"{opened.headers['Location']}&digest={digest}", data=content)
        assert done.status_code == 201, done.text

    return pull, push


def moby_distribution(host: str) -> tuple[Do, Do]:
    """`Blob.download`, which does not verify, and `Blob.upload`."""
    from moby_distribution import Blob, DockerRegistryV2Client

    client = DockerRegistryV2Client(f"http://{host}")
    return (
        lambda repository, digest, file: Blob(repository, digest, Path(file), client=client).download(),
        lambda repository, digest, file: Blob(repository, digest, Path(file), client=client).upload() and None,
    )


def oras(host: str) -> tuple[Do, Do]:
    """`download_blob`, which does not verify, and `upload_blob`."""
    import oras.client
    import oras.oci

    client = oras.client.OrasClient(hostname=host, insecure=True)
    registry = getattr(client, "remote", client)

    def push(repository: str, digest: str, file: str) -> None:
        layer = oras.oci.NewLayer(file, media_type="application/octet-stream")
        registry.upload_blob(file, registry.get_container(f"{host}/{repository}:x"), layer)

    return (
        lambda repository, digest, file: (
            registry.download_blob(registry.get_container(f"{host}/{repository}:x"), digest, file) and None
        ),
        push,
    )


def dxf(host: str) -> tuple[Do, Do]:
    """`pull_blob` as it ships, which verifies, and `push_blob`."""
    from dxf import DXF

    def pull(repository: str, digest: str, file: str) -> None:
        with Path(file).open("wb") as out:
            for chunk in DXF(host, repository, insecure=True).pull_blob(digest):
                out.write(chunk)

    return pull, lambda repository, digest, file: DXF(host, repository, insecure=True).push_blob(file) and None


CLIENTS = {
    "regscope": regscope,
    "bare loop": bare_loop,
    "moby-distribution": moby_distribution,
    "oras": oras,
    "python-dxf": dxf,
}


def main(name: str, direction: str, host: str, repository: str, digest: str, file: str) -> None:
    """Do it once."""
    pull, push = CLIENTS[name](host)
    started = time.monotonic()
    (pull if direction == "pull" else push)(repository, digest, file)
    seconds = time.monotonic() - started
    print(json.dumps({"seconds": seconds, "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}))


if __name__ == "__main__":
    main(*sys.argv[1:])
