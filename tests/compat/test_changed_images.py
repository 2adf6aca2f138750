"""`ImageRef`: its layers and its config can be changed, and what is pushed is what they say."""

from __future__ import annotations

import json
import tarfile
from io import BytesIO
from pathlib import Path

import pytest

from regscope import ImageRef, LayerRef, ManifestRef, ManifestSchema2
from regscope.compat.moby.spec.image_json import ContainerConfig, History
from regscope.layers.compression import diff_id_of
from regscope.spec.image_config import History as OurHistory
from tests.lab.images import push, skopeo
from tests.servers.registry import Registry


def layer_file(folder: Path, name: str = "hello") -> Path:
    file = folder / f"{name}.tar.gz"
    with tarfile.open(file, "w:gz") as archive:
        entry = tarfile.TarInfo(name)
        entry.size = 5
        archive.addfile(entry, BytesIO(b"hello"))
    return file


@pytest.fixture
def api(hub: Registry, layout: Path) -> ImageRef:
    """An image of several layers."""
    push(layout, hub, only="team/api:1.0")
    return ImageRef.from_image("team/api", "1.0", to_reference="changed")


def told(image: ImageRef) -> list[str | None]:
    return [step.created_by for step in image.image_json.history if not step.empty_layer]


def test_a_layer_that_is_taken_away_is_not_pushed(api: ImageRef) -> None:
    diff_ids, steps = list(api.image_json.rootfs.diff_ids), told(api)
    api.layers = [api.layers[0], *api.layers[2:]]
    pushed = api.push()
    found = ManifestRef("team/api", "changed").get()
    assert [layer.digest for layer in found.layers] == [layer.digest for layer in api.layers]
    assert pushed == found
    assert api.image_json.rootfs.diff_ids == [diff_ids[0], *diff_ids[2:]]
    assert told(api) == [steps[0], *steps[2:]]


def test_a_layer_that_is_put_into_the_list_is_measured_and_pushed(api: ImageRef, tmp_path: Path) -> None:
    file = layer_file(tmp_path)
    api.layers.insert(1, LayerRef(local_path=file))
    pushed = api.push()
    assert pushed.layers[1].size == file.stat().st_size
    assert api.image_json.rootfs.diff_ids[1] == diff_id_of([file.read_bytes()])
    assert len(told(api)) == len(api.layers) == len(pushed.layers)
    again = ImageRef.from_image("team/api", "changed")
    assert again.image_json == api.image_json


def test_the_order_of_layers_is_that_of_the_list_and_their_steps_go_along(api: ImageRef) -> None:
    steps = told(api)
    api.layers.reverse()
    assert [layer.digest for layer in api.push().layers] == [layer.digest for layer in api.layers]
    assert told(api) == steps[::-1]


def test_a_step_without_a_layer_stays_behind_the_layer_that_it_followed(hub: Registry) -> None:
    image = ImageRef.from_image("legacy", "1")
    for step in ("ENV A=1", "CMD x"):
        image.image_json.history.append(OurHistory(created_by=step, empty_layer=True))
    image.layers.append(LayerRef(repo="legacy", digest=image.layers[0].digest, size=image.layers[0].size, exists=True))
    history = image.image_json.history
    assert [step.created_by for step in history[-3:]] == ["ENV A=1", "CMD x", "regscope: add layer"]


def test_a_changed_config_is_pushed(hub: Registry) -> None:
    image = ImageRef.from_image("app", "1.0", to_reference="changed")
    image.image_json.config = ContainerConfig(Cmd=["other"])
    image.image_json.config.Labels["team"] = "x"
    image.push()
    config = ImageRef.from_image("app", "changed").image_json.config
    assert (config.Cmd, config.Labels) == (["other"], {"team": "x"})
    assert image.image_json_str == ImageRef.from_image("app", "changed").image_json_str


def test_a_layer_is_added_with_its_own_step(hub: Registry, tmp_path: Path) -> None:
    image = ImageRef.from_image("legacy", "1", to_reference="more")
    image.add_layer(LayerRef(local_path=layer_file(tmp_path)), History(created_by="by hand", comment="why"))
    image.push_v2()
    assert ImageRef.from_image("legacy", "more").image_json.history[-1].comment == "why"


def test_an_image_is_made_of_files_and_a_config(hub: Registry, tmp_path: Path) -> None:
    layers = [LayerRef(local_path=layer_file(tmp_path, name)) for name in ("one", "two")]
    image = ImageRef("made", "1", layers, '{"os": "linux", "architecture": "amd64", "config": {"Cmd": ["sh"]}}')
    assert isinstance(image.push(), ManifestSchema2)
    found = ImageRef.from_image("made", "1")
    assert len(found.layers) == len(found.image_json.rootfs.diff_ids) == 2
    assert found.image_json.config.Cmd == ["sh"]
    skopeo("copy", "-q", "--src-tls-verify=false", f"docker://{hub.host}/made:1", f"oci:{tmp_path / 'copy'}:x")


def test_a_changed_image_is_saved_as_it_says(api: ImageRef, tmp_path: Path) -> None:
    api.layers.pop()
    saved = api.save(tmp_path / "saved.tar")
    with tarfile.open(saved) as archive:
        file = archive.extractfile("manifest.json")
        assert file is not None
        [listed] = json.load(file)
    assert listed["RepoTags"] == ["team/api:changed"]
    assert len(listed["Layers"]) == len(api.layers)
    back = ImageRef.from_tarball(tmp_path, Path(saved), to_repo="back", to_reference="1")
    assert back.image_json_str == api.image_json_str
    assert all(layer.local_path and layer.local_path.stat().st_size == layer.size for layer in back.layers)


def test_what_is_said_of_a_layer_in_the_list_must_be_so(hub: Registry, tmp_path: Path) -> None:
    image = ImageRef.from_image("legacy", "1")
    image.layers.append(LayerRef(local_path=layer_file(tmp_path), size=1))
    with pytest.raises(ValueError, match="its LayerRef states 1"):
        image.push()
