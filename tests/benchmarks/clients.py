"""One client that reads tag lists, and manifest and config of every image, in a process of its own.

`python clients.py NAME URL THREADS FILE`, where FILE names a repository on each line, prints what that took as JSON.
Every thread has its client's object, used as its README shows. This file runs in the peers' environment, so it
imports nothing of the project.
"""

from __future__ import annotations

import io
import json
import queue
import resource
import socket
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
Tags = Callable[[str], list[str]]
Read = Callable[[str, str], int]  # repository and tag to the bytes of the config


def bare_sockets(host: str) -> tuple[Tags, Read]:
    """What HTTP costs at least: one socket, the header looked through for the length."""
    name, _, port = host.partition(":")
    connection = socket.create_connection((name, int(port)))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    fields = f" HTTP/1.1\r\nHost: {host}\r\nAccept: {MANIFEST}\r\n\r\n"

    def get(path: str) -> bytes:
        connection.sendall(f"GET {path}{fields}".encode())
        data = connection.recv(65536)
        while (end := data.find(b"\r\n\r\n")) < 0:
            data += connection.recv(65536)
        start = data.lower().index(b"content-length: ") + 16
        length = end + 4 + int(data[start : data.index(b"\r", start)])
        while len(data) < length:
            data += connection.recv(65536)
        return data[end + 4 :]

    def read(repository: str, tag: str) -> int:
        manifest = json.loads(get(f"/v2/{repository}/manifests/{tag}"))
        return len(get(f"/v2/{repository}/blobs/{manifest['config']['digest']}"))

    return lambda repository: json.loads(get(f"/v2/{repository}/tags/list"))["tags"], read


def moby_distribution(host: str) -> tuple[Tags, Read]:
    """`ManifestRef.get` and `Blob.download`."""
    from moby_distribution import Blob, DockerRegistryV2Client, ManifestRef, Tags

    client = DockerRegistryV2Client(f"http://{host}")

    def read(repository: str, tag: str) -> int:
        manifest = ManifestRef(repo=repository, reference=tag, client=client).get(media_type=MANIFEST)
        file = io.BytesIO()
        Blob(repo=repository, digest=manifest.config.digest, fileobj=file, client=client).download()
        json.loads(file.getvalue())
        return len(file.getvalue())

    return lambda repository: Tags(repo=repository, client=client).list(), read


def oras(host: str) -> tuple[Tags, Read]:
    """`get_manifest` and `get_blob`."""
    import oras.client

    client = oras.client.OrasClient(hostname=host, insecure=True)
    registry = getattr(client, "remote", client)

    def read(repository: str, tag: str) -> int:
        container = registry.get_container(f"{host}/{repository}:{tag}")
        manifest = registry.get_manifest(container, allowed_media_type=[MANIFEST])
        config = registry.get_blob(container, manifest["config"]["digest"]).content
        json.loads(config)
        return len(config)

    return lambda repository: registry.get_tags(f"{host}/{repository}"), read


def dxf(host: str) -> tuple[Tags, Read]:
    """`get_manifest` and `pull_blob`, which verifies."""
    from dxf import DXF, DXFBase

    base = DXFBase(host, insecure=True)
    base.__enter__()  # one session for all repositories

    def read(repository: str, tag: str) -> int:
        one = DXF.from_base(base, repository)
        manifest = json.loads(one.get_manifest(tag))
        config = b"".join(one.pull_blob(manifest["config"]["digest"]))
        json.loads(config)
        return len(config)

    return lambda repository: list(DXF.from_base(base, repository).list_aliases()), read


CLIENTS = {"bare sockets": bare_sockets, "moby-distribution": moby_distribution, "oras": oras, "python-dxf": dxf}


def main(name: str, url: str, threads: int, repositories: list[str]) -> dict[str, float]:
    """List the tags of all repositories and read every image; seconds, CPU seconds and bytes."""
    made = [CLIENTS[name](url.partition("://")[2]) for _ in range(threads)]
    found: list[tuple[str, str]] = []
    sizes: list[int] = []

    def list_tags(client: tuple[Tags, Read], repository: str) -> None:
        found.extend((repository, tag) for tag in client[0](repository))

    def read(client: tuple[Tags, Read], image: tuple[str, str]) -> None:
        sizes.append(client[1](*image))

    before, started = resource.getrusage(resource.RUSAGE_SELF), time.monotonic()
    _share(made, list_tags, repositories)
    _share(made, read, found)
    seconds, after = time.monotonic() - started, resource.getrusage(resource.RUSAGE_SELF)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"images": len(sizes), "bytes": sum(sizes), "seconds": seconds, "cpu": cpu}


def _share(made: list[tuple[Tags, Read]], do: Callable[..., None], items: list) -> None:
    """Do it for all items, one thread for each client."""
    waiting: queue.SimpleQueue = queue.SimpleQueue()
    for item in items:
        waiting.put(item)

    def work(client: tuple[Tags, Read]) -> None:
        while True:
            try:
                item = waiting.get_nowait()
            except queue.Empty:
                return
            do(client, item)

    workers = [threading.Thread(target=work, args=(client,)) for client in made]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1], sys.argv[2], int(sys.argv[3]), Path(sys.argv[4]).read_text().split())))
