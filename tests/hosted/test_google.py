"""Google Artifact Registry: what its tag list says more than others, and what a scan makes of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import regscope as rs
from regscope.errors import ResourceNotFound, Unsupported
from regscope.spec.digest import Digest
from regscope.stores.registry_store import RegistryStore
from regscope.stores.wrapped_store import unwrapped
from tests.cli.conftest import Run
from tests.hosted.pushed import AMD, ARM, BOTH, FOUND, LONE, NEW, OLD, SBOM, fill, found, uploaded
from tests.lab.drawn_registries import Contents, image, layer
from tests.servers.hosted.google import USER, GoogleRegistry
from tests.servers.hosted.hosted import answered
from tests.servers.proxy import Forward, ProxyRequest, ProxyResponse
from tests.servers.registry import Registry


def opened(google: GoogleRegistry, location: str = "gcr.io/team") -> rs.ContentStore:
    return rs.open(location, username=USER, password=google.password, verify=google.ca)


def scanned(store: rs.ContentStore) -> rs.Snapshot:
    return rs.scan(store, progress=False)


@pytest.mark.parametrize("host", ["gcr.io", "eu.gcr.io", "europe-west1-docker.pkg.dev"])
def test_a_project_is_opened_by_its_name_and_limits_what_is_listed(
    behind: Registry, google: GoogleRegistry, host: str
) -> None:
    fill(behind)
    store = opened(google, f"{host}/team")
    assert store.location == f"https://{host}/team"
    assert store.repositories() == ["team/app", "team/tools/base"]
    asked = sorted(line.partition("?")[0] for line in google.asked())  # siblings are asked at the same time
    names = ("team/app", "team", "team/tools", "team/tools/base")
    assert asked == sorted(f"GET /v2/{name}/tags/list" for name in names)


def test_a_longer_prefix_lists_what_is_at_it_and_below(behind: Registry, google: GoogleRegistry) -> None:
    fill(behind)
    assert opened(google, "gcr.io/team/app").repositories() == ["team/app"]
    assert opened(google, "https://gcr.io/team/tools/").repositories() == ["team/tools/base"]


def test_without_a_project_the_error_says_to_name_one(google: GoogleRegistry) -> None:
    with pytest.raises(Unsupported, match="only below a project") as caught:
        opened(google, "gcr.io").repositories()
    assert caught.value.next_step == "Name the project: gcr.io/PROJECT."


def test_a_project_that_is_not_there_is_an_error_and_no_empty_list(google: GoogleRegistry) -> None:
    with pytest.raises(ResourceNotFound):
        opened(google, "gcr.io/nobody").repositories()


def test_what_has_no_tag_is_told_from_children_and_referrers(behind: Registry, google: GoogleRegistry) -> None:
    fill(behind)
    snap = scanned(opened(google))
    assert found(snap) == FOUND
    assert snap.sees_everything
    assert not len(snap.problems)


def test_the_list_is_that_of_the_registry_behind(behind: Registry, google: GoogleRegistry) -> None:
    fill(behind)
    store = opened(google)
    listed = store.untagged("team/app")
    inside = rs.open(f"storage:{behind.storage}")
    assert store.tags("team/app") == inside.tags("team/app") == ["1.0", "2.0", "latest"]
    held = {AMD.digest, ARM.digest, SBOM.digest, Digest(json.loads(LONE.raw)["manifests"][0]["digest"])}
    assert set(listed) == {*inside.untagged("team/app"), *held}


def test_tags_and_manifests_have_the_time_of_their_upload(behind: Registry, google: GoogleRegistry) -> None:
    fill(behind)
    when = {each.digest: uploaded(behind, "team/app", each, days) for each, days in ((NEW, 7), (OLD, 9), (ARM, 11))}
    store = opened(google)
    assert store.pushed("team/app", "latest") == when[NEW.digest]
    assert store.pushed("team/app", "no such tag") is None
    snap = scanned(store)
    tags = snap.tags[snap.tags["repository"] == "team/app"].set_index("tag")["pushed"]
    assert tags["latest"] == tags["1.0"] == when[NEW.digest]
    rows = snap.placements[snap.placements["repository"] == "team/app"].set_index("digest")["pushed"]
    assert {digest: rows[digest] for digest in when} == when


def test_a_second_scan_asks_for_the_lists_alone(behind: Registry, google: GoogleRegistry) -> None:
    fill(behind)
    store = opened(google)
    first = scanned(store)
    google.asked()
    second = scanned(store)
    asked = google.asked()
    assert all(line.startswith("GET ") and "/tags/list?" in line for line in asked)
    assert len(asked) == 4 + 2  # the names below the project, and both repositories
    assert second.fingerprint == first.fingerprint


def test_the_first_scan_reads_manifests_by_the_digests_that_the_lists_name(
    behind: Registry, google: GoogleRegistry
) -> None:
    fill(behind)
    snap = scanned(opened(google))
    read = [line.split()[1].rpartition("/")[2] for line in google.asked() if "/manifests/" in line]
    assert {*read} == {*snap.manifests["digest"]}


def test_a_tag_that_is_only_in_the_list_of_tags_holds_its_manifest(behind: Registry, google: GoogleRegistry) -> None:
    fill(behind)

    def pushed_meanwhile(request: ProxyRequest, forward: Forward) -> ProxyResponse | None:
        if "/team/app/tags/list" not in request.path:
            return None
        answer = json.loads(forward().body)
        for said in answer["manifest"].values():
            said["tag"] = [tag for tag in said["tag"] if tag != "2.0"]
        return answered(answer)

    google.rules.insert(0, pushed_meanwhile)
    snap = scanned(opened(google))
    assert found(snap)[BOTH.digest] == "tag"


def test_an_answer_without_manifests_shows_no_untagged_ones(behind: Registry, google: GoogleRegistry) -> None:
    """As at mirror.gcr.io, which has what Docker Hub has."""
    fill(behind)

    def plain(request: ProxyRequest, forward: Forward) -> ProxyResponse | None:
        if "/team/app/tags/list" not in request.path:
            return None
        answer = json.loads(forward().body)
        return answered({"name": answer["name"], "tags": answer["tags"]})

    google.rules.insert(0, plain)
    snap = rs.scan(opened(google), repositories="team/app", progress=False)
    assert not snap.sees_untagged
    assert OLD.digest not in found(snap)
    assert rs.plan(snap, rs.Retention(tags="1.0")).at_most


@pytest.mark.parametrize(
    "said",
    [
        {"timeUploadedMs": "never", "imageSizeBytes": "-5", "tag": "1.0", "mediaType": 7},
        {"timeUploadedMs": "9" * 18, "imageSizeBytes": {}, "tag": None},
        {"timeUploadedMs": "0"},
        [],
        None,
    ],
)
def test_what_an_entry_does_not_say_as_it_should_is_not_known(
    behind: Registry, google: GoogleRegistry, said: object
) -> None:
    Contents(pushes=[("team/app", None, OLD)]).push_to(behind.url)
    google.rules.insert(0, lambda request, forward: answered({"manifest": {OLD.digest: said}, "tags": []}))
    google.password = ""
    store = unwrapped(opened(google))
    assert isinstance(store, RegistryStore)
    listing = store.manifests("team/app")
    assert listing is not None
    (row,) = listing.manifests
    assert (row.digest, row.tags, row.size, row.pushed, row.media_type) == (OLD.digest, (), None, None, None)


def test_a_list_that_is_as_long_as_can_be_is_not_taken_for_all(behind: Registry, google: GoogleRegistry) -> None:
    """google/go-containerregistry#1643: names beyond the most of one answer are not there, and nothing says so."""
    fill(behind)

    def cut(request: ProxyRequest, forward: Forward) -> ProxyResponse | None:
        if "/v2/team/tags/list" not in request.path:
            return None
        answer = json.loads(forward().body)
        answer["child"] += [f"Not-{number}" for number in range(10_000 - len(answer["child"]))]
        return answered(answer)

    google.rules.insert(0, cut)
    with pytest.warns(rs.CapabilityWarning, match="team lists 10,000 tags, names or manifests, as many as it can"):
        snap = scanned(opened(google))
    assert {*snap.tags["repository"]} == {"team/app", "team/tools/base"}
    assert not snap.sees_everything


def test_of_a_repository_with_as_many_manifests_the_untagged_are_not_shown(
    behind: Registry, google: GoogleRegistry
) -> None:
    """Else children of an index that is not in the list would look as if nothing needed them."""
    fill(behind)

    def cut(request: ProxyRequest, forward: Forward) -> ProxyResponse | None:
        if "/v2/team/app/tags/list" not in request.path:
            return None
        answer = json.loads(forward().body)
        answer["manifest"] |= {Digest.of(str(number).encode()): {"tag": []} for number in range(10_000)}
        return answered(answer)

    google.rules.insert(0, cut)
    with pytest.warns(rs.CapabilityWarning, match="team/app lists 10,000"):
        snap = rs.scan(opened(google), repositories="team/app", progress=False)
    assert not snap.sees_untagged
    assert found(snap) == {NEW.digest: "tag", BOTH.digest: "tag", AMD.digest: "index child", ARM.digest: "index child"}


def test_names_that_no_repository_can_have_are_not_followed(behind: Registry, google: GoogleRegistry) -> None:
    fill(behind)

    def hostile(request: ProxyRequest, forward: Forward) -> ProxyResponse | None:
        if "/v2/team/tags/list" not in request.path:
            return None
        return answered({"child": ["app", "..", "../other", "a b", "", 5, "Team", "x\n"], "manifest": {}, "tags": []})

    google.rules.insert(0, hostile)
    assert opened(google).repositories() == ["team/app"]
    assert len(google.asked()) == 2


def test_what_cannot_be_listed_below_a_project_is_a_problem_of_the_scan(
    behind: Registry, google: GoogleRegistry
) -> None:
    fill(behind)

    def denied(request: ProxyRequest, forward: Forward) -> ProxyResponse | None:
        if "/v2/team/tools/tags/list" not in request.path:
            return None
        return answered({"errors": [{"code": "DENIED", "message": "not yours"}]}, status=403)

    google.rules.insert(0, denied)
    snap = scanned(opened(google))
    assert snap.problems[["repository", "what"]].to_numpy().tolist() == [["team/tools", "tag list"]]
    assert not snap.sees_everything


def test_capabilities_name_the_provider_and_what_it_adds(behind: Registry, google: GoogleRegistry) -> None:
    fill(behind)
    with pytest.warns(rs.CapabilityWarning, match="referrers API") as caught:
        capabilities = opened(google).capabilities
    assert capabilities is not None
    assert len(caught) == 1
    assert (capabilities.catalog, capabilities.delete, capabilities.tag_delete) == (True, True, True)
    assert capabilities.provider == "Google Artifact Registry"
    assert "push times" in capabilities.adds
    assert list(capabilities.would_add) == ["an OAuth token for artifactregistry.googleapis.com"]
    assert "Google Artifact Registry adds manifests without a tag" in capabilities.facts()["provider"]


def test_below_a_repository_of_theirs_freed_bytes_are_at_most(behind: Registry, google: GoogleRegistry) -> None:
    fill(behind)
    for location, is_part in [
        ("gcr.io/team", False),
        ("gcr.io/team/app", True),
        ("europe-west1-docker.pkg.dev/team/app", False),
        ("europe-west1-docker.pkg.dev/team/tools/base", True),
    ]:
        snap = scanned(opened(google, location))
        assert snap.filtered == (("repositories",) if is_part else ())


def test_the_command_line_scans_a_project(behind: Registry, google: GoogleRegistry, tmp_path: Path, run: Run) -> None:
    Contents(pushes=[("team/app", "1", image([layer("a", 10)], 3)), ("team/app", "1", OLD)]).push_to(behind.url)
    options = ["--ca", google.ca, "-u", USER, "--password-stdin", "--save", tmp_path / "snap"]
    done = run("scan", "gcr.io/team", *options, stdin=f"{google.password}\n")
    assert done.code == 0, done.err
    snap = rs.Snapshot.load(tmp_path / "snap")
    assert snap.location == "https://gcr.io/team"
    assert sorted(snap.placements["found"]) == ["tag", "untagged"]
