"""A static server, and a link that takes its time; each is a process of its own."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from tests.lab.many_images import MANIFEST

_NGINX = """
daemon off; worker_processes 1; pid {folder}/pid; error_log {folder}/error.log;
events {{ worker_connections 512; }}
http {{
  access_log off; keepalive_requests 1000000; default_type application/octet-stream; types {{ }}
  client_body_temp_path {folder}/t1; proxy_temp_path {folder}/t2; fastcgi_temp_path {folder}/t3;
  uwsgi_temp_path {folder}/t4; scgi_temp_path {folder}/t5;
  server {{
    listen 127.0.0.1:{port}; root {folder}/files;
    location ~ /manifests/ {{ default_type {manifest}; }}
    location ~ /(_catalog|list)$ {{ default_type application/json; }}
    location = /v2/ {{ return 200 "{{}}"; }}
  }}
}}
"""


def free_port() -> int:
    """A port that nobody uses now."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


@contextlib.contextmanager
def nginx(folder: Path) -> Iterator[str]:
    """nginx with one worker over the files in `folder`/files; yields its URL."""
    port = free_port()
    config = folder / "nginx.conf"
    config.write_text(_NGINX.format(folder=folder, port=port, manifest=MANIFEST))
    folder.chmod(0o755)
    with _running(["nginx", "-c", str(config)], port):
        yield f"http://127.0.0.1:{port}"


@contextlib.contextmanager
def slow_link(port: int, delay: float) -> Iterator[str]:
    """A way to `port` on which every round trip takes `delay` seconds more; yields its URL."""
    own = free_port()
    with _running([sys.executable, "-m", "tests.benchmarks.servers", str(own), str(port), str(delay)], own):
        yield f"http://127.0.0.1:{own}"


@contextlib.contextmanager
def _running(command: list[str], port: int) -> Iterator[None]:
    process = subprocess.Popen(command)
    try:
        for _ in range(200):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            time.sleep(0.05)
        yield
    finally:
        process.terminate()
        process.wait(10)


async def _serve(own: int, port: int, delay: float) -> None:
    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        loop = asyncio.get_running_loop()
        while data := await reader.read(65536):
            loop.call_later(delay / 2, writer.write, data)
        loop.call_later(delay / 2 + 0.01, writer.close)

    async def connect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        onward = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(carry(reader, onward[1]), carry(onward[0], writer), return_exceptions=True)

    async with await asyncio.start_server(connect, "127.0.0.1", own, backlog=256) as server:
        await server.serve_forever()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_serve(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])))
