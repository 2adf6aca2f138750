"""Plans over drawn registries, carried out on a real one: freed to the byte, nothing broken, undone to the digest."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import regscope as rs
from tests.remediation.drawn_registry import Contents, contents, policies, state
from tests.servers.registry import Registry

CASES = 110
_IN_MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None


def storage_of(registry: Registry) -> rs.ContentStore:
    return rs.open(f"storage:{registry.storage}")


def assert_skopeo_pulls(registry: Registry, tags: list[tuple[str, str]], folder: Path) -> None:
    """Every tag, with all platforms; skopeo verifies each digest."""
    if not tags:
        return
    listed: dict[str, list[str]] = {}
    for repository, tag in tags:
        listed.setdefault(repository, []).append(tag)
    lines = [f"{registry.host}:", "  tls-verify: false", "  images:"]
    for repository, names in listed.items():
        lines += [f"    {repository}:", *(f"      - {name}" for name in names)]
    source, target = folder / "wanted.yml", folder / "pulled"
    source.write_text("\n".join(lines) + "\n")
    target.mkdir()
    command = ["skopeo", "sync", "--all", "--src", "yaml", "--dest", "dir", "--scoped", str(source), str(target)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


@settings(max_examples=CASES, deadline=None, suppress_health_check=list(HealthCheck))
@given(contents(), policies(), st.data())
def test_a_plan_frees_what_it_says_breaks_nothing_and_is_undone(
    drawn: Contents, policy: rs.Retention, data: st.DataObject
) -> None:
    with tempfile.TemporaryDirectory(dir=_IN_MEMORY) as name, Registry(Path(name) / "registry") as registry:
        drawn.push_to(registry.url)
        store = rs.open(registry.url, cache=False)
        snap = rs.scan(storage_of(registry), progress=False)
        made = rs.plan(snap, policy)
        assert not made.at_most
        before, bytes_before = state(registry.url, snap), registry.blob_bytes()
        journal, backup = Path(name) / "journal", f"oci:{name}/backup"

        done = made.apply(store, dry_run=False, journal=journal, backup=backup, progress=False)
        assert done.ok, repr(done)
        after = state(registry.url, snap)
        goes = set(zip(made.steps["repository"], made.steps["tag"].fillna(made.steps["digest"]), strict=True))
        goes |= set(made.tags.loc[made.tags["goes"], ["repository", "tag"]].itertuples(index=False, name=None))
        assert {key for key, digest in before.items() if digest} - {
            key for key, digest in after.items() if digest
        } == goes

        if data.draw(st.booleans(), label="undo before the garbage collection"):
            rs.undo(journal, store, progress=False)
            assert state(registry.url, snap) == before
            return
        registry.garbage_collect()
        assert bytes_before - registry.blob_bytes() == made.freed_bytes + made.orphaned_bytes
        kept = [(repository, key) for (repository, key), digest in after.items() if digest and ":" not in key]
        assert_skopeo_pulls(registry, kept, Path(name))
        undone = rs.undo(journal, store, backup=backup, progress=False)
        assert state(registry.url, snap) == before, repr(undone)
        again = rs.scan(storage_of(registry), progress=False)
        assert again.fingerprint == snap.fingerprint
        shutil.rmtree(Path(name) / "backup", ignore_errors=True)


def test_the_cases_are_worth_it() -> None:
    """Drawn registries have what deletion goes wrong with; else the test above would show nothing."""
    seen = {"index": 0, "shared child": 0, "deleted before": 0, "attached": 0, "moved tag": 0}

    @settings(max_examples=CASES, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(contents())
    def look(drawn: Contents) -> None:
        indexes = [pushed for _, _, pushed in drawn.pushes if pushed.children]
        children = [child.digest for pushed in {i.digest: i for i in indexes}.values() for child in pushed.children]
        tags = [(repository, tag) for repository, tag, _ in drawn.pushes if tag]
        seen["index"] += bool(indexes)
        seen["shared child"] += len(set(children)) < len(children)
        seen["deleted before"] += bool(drawn.deletions)
        seen["attached"] += any(tag and tag.startswith("sha256-") for _, tag in tags)
        seen["moved tag"] += len(set(tags)) < len(tags)

    look()
    assert all(count >= 5 for count in seen.values()), seen
