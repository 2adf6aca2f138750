"""What the tests push: bytes that no other test has pushed, since servers share blobs among repositories."""

from __future__ import annotations

from tests.lab.drawn_registries import Pushed, image, index, layer


def made(repository: str, name: str, days: float = 3, architecture: str = "amd64") -> Pushed:
    """An image of two layers: one that all images of the repository share, and one of its own."""
    layers = [layer(f"{repository} base", 3000), layer(f"{repository} {name}", 700)]
    return image(layers, days, architecture, name=f"{repository} {name}")


def multi(repository: str, name: str = "multi") -> Pushed:
    """An index of two images."""
    return index([made(repository, f"{name} {machine}", 3, machine) for machine in ("amd64", "arm64")])
