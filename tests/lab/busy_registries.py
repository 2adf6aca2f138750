"""Registries as many tools use them at once, drawn: what `contents` draws, and what the tools of the field add."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import strategies as st

import regscope as rs
from tests.lab.drawn_registries import (
    PLATFORMS,
    REPOSITORIES,
    Contents,
    Pushed,
    artifact,
    contents,
    dashed,
    fallback_list,
    image,
    index,
    layer,
    policies,
)
from tests.lab.odd_manifests import ODDITIES, image_cache, nested, standing_in

SIGNATURES = "signatures"
"""Where cosign puts what it signs, with `COSIGN_REPOSITORY`."""

Policy = rs.Retention | list[rs.Retention]


@dataclass
class Case:
    """A registry, what is to go, and what others do between the plan and its run."""

    contents: Contents
    policy: Policy
    changes: Contents


@st.composite
def cases(draw: st.DrawFn, takes_old_caches: bool = True, changes: bool = False) -> Case:
    """Registries and policies; with `changes` something happens after the plan was made."""
    found = draw(contents(takes_old_caches))
    for add in (_platform_tags, _nested_index, _odd_manifests, _stranger, _cache, _signatures, _on_attachments):
        if draw(st.booleans()):
            add(draw, found)
    policy = draw(st.one_of(policies(), _lists_that_end_with_all()))
    policy = _with_names_in_use(draw, policy, found) if draw(st.booleans()) else policy
    return Case(found, policy, draw(_changes(found)) if changes else Contents())


@st.composite
def _lists_that_end_with_all(draw: st.DrawFn) -> list[rs.Retention]:
    """Some exceptions, then a rule about all that they leave: most of it goes."""
    exceptions = [rs.Retention(tags="v*", keep_last=draw(st.integers(0, 2)), keep_last_by="version")]
    exceptions.append(rs.Retention(tags=["latest", "pr-*"], keep_last=1, keep_last_per="(.+?)-?[0-9]*$"))
    rest = rs.Retention(keep_last=draw(st.integers(0, 1)), untagged=draw(st.booleans()), orphans=draw(st.booleans()))
    return [*draw(st.lists(st.sampled_from(exceptions), max_size=2)), rest]


def _any_push(draw: st.DrawFn, found: Contents) -> tuple[str, str | None, Pushed]:
    return draw(st.sampled_from(found.pushes))


def _platform_tags(draw: st.DrawFn, found: Contents) -> None:
    """As `docker manifest create` and buildx leave them: `v1.0-amd64` on a child of `v1.0`."""
    tagged = [(repository, tag, pushed) for repository, tag, pushed in found.pushes if tag and pushed.children]
    for repository, tag, pushed in tagged[:2]:
        for child, platform in zip(pushed.children, PLATFORMS, strict=False):
            if draw(st.booleans()):
                found.pushes.append((repository, f"{tag}-{platform}"[-128:], child))


def _nested_index(draw: st.DrawFn, found: Contents) -> None:
    repository, _, pushed = _any_push(draw, found)
    inside = pushed if pushed.children else index([pushed])
    outer = nested(inside, *draw(st.sampled_from([(), pushed.children[:1]])))
    found.pushes.append((repository, draw(st.sampled_from(["v3.0", "nightly", None])), outer))


def _odd_manifests(draw: st.DrawFn, found: Contents) -> None:
    """Beside what they were made of: they share all of its layers."""
    plain = [each for each in found.pushes if b"config" in each[2].raw and b"artifactType" not in each[2].raw]
    plain += [each for each in found.pushes if each[2].children and not each[2].blobs]
    plain = [each for each in plain if b"attestation-manifest" not in each[2].raw]
    for number, (repository, _, pushed) in enumerate(
        draw(st.lists(st.sampled_from(plain), max_size=2)) if plain else ()
    ):
        made = draw(st.sampled_from(ODDITIES))(pushed)
        found.pushes.append((repository, draw(st.sampled_from([f"pr-{number}", f"v1.{number}", "odd"])), made))


def _stranger(draw: st.DrawFn, found: Contents) -> None:
    """Two tags on a manifest that claims to stand in for a tag."""
    made = standing_in(image([layer("stranger", 400)], draw(st.integers(0, 90))))
    repository = draw(st.sampled_from(REPOSITORIES))
    for tag in draw(st.sets(st.sampled_from(["latest", "v1.0", "pr-1", "kept"]), min_size=1, max_size=2)):
        found.pushes.append((repository, tag, made))


def _cache(draw: st.DrawFn, found: Contents) -> None:
    """A tag that each build moves: the caches before have none any more."""
    repository = draw(st.sampled_from(REPOSITORIES))
    for number in range(draw(st.integers(1, 3))):
        found.pushes.append((repository, "buildcache", image_cache([layer("cache", 800), layer(f"c {number}", 300)])))


def _signatures(draw: st.DrawFn, found: Contents) -> None:
    """Of images in other repositories, some of which are gone, and of one that never was there."""
    for number, (_, _, pushed) in enumerate(draw(st.lists(st.sampled_from(found.pushes), min_size=1, max_size=3))):
        suffix = draw(st.sampled_from([".sig", ".att", ".sbom"]))
        signed = draw(st.sampled_from([pushed, *pushed.children]))
        found.pushes.append((SIGNATURES, dashed(signed.digest, suffix), _signature(f"signed {number}")))
    if draw(st.booleans()):
        nobody = image([layer("elsewhere", 10)], 5)
        found.pushes.append((SIGNATURES, dashed(nobody.digest, ".sig"), _signature("of nobody")))


def _signature(name: str) -> Pushed:
    return artifact("signature", layer(name, 120), None)


def _on_attachments(draw: st.DrawFn, found: Contents) -> None:
    """An SBOM of an image or index, listed under the fallback tag, and a signature of that SBOM."""
    repository, _, pushed = _any_push(draw, found)
    sbom = artifact("application/spdx+json", layer("bill", 200), pushed)
    found.pushes += [(repository, None, sbom), (repository, dashed(pushed.digest), fallback_list([sbom]))]
    found.pushes.append((repository, dashed(sbom.digest, ".sig"), _signature("of the bill")))


def _with_names_in_use(draw: st.DrawFn, policy: Policy, found: Contents) -> Policy:
    """Some of what was pushed runs somewhere, by name or by digest, or by that of a platform's image."""
    names = []
    for repository, tag, pushed in draw(st.lists(st.sampled_from(found.pushes), min_size=1, max_size=2)):
        digest = draw(st.sampled_from([pushed, *pushed.children])).digest
        by_name = tag is not None and draw(st.booleans())
        names.append(
            f"registry.example.com/{repository}:{tag}" if by_name else f"mirror.example.com/{repository}@{digest}"
        )
    first, *rest = policy if isinstance(policy, list) else [policy]
    first = first.changed(in_use=names)
    return [first, *rest] if isinstance(policy, list) else first


@st.composite
def _changes(draw: st.DrawFn, found: Contents) -> Contents:
    """What others push and delete after the plan was made: it shares blobs with what goes."""
    done = Contents()
    for number in range(draw(st.integers(1, 3))):
        repository, tag, pushed = _any_push(draw, found)
        new = image([*pushed.blobs[1:], layer(f"new {number}", 200)], 0)
        what = draw(st.sampled_from(["moved tag", "moved back", "new tag", "new index", "referrer", "deleted"]))
        if what == "moved tag":
            done.pushes.append((repository, tag or "latest", new))
        elif what == "moved back":
            others = [other for where, _, other in found.pushes if where == repository]
            done.pushes.append((repository, tag or "latest", draw(st.sampled_from(others))))
        elif what == "new tag":
            done.pushes.append((repository, f"since-{number}", pushed))
        elif what == "new index":
            done.pushes.append((repository, f"multi-{number}", index([pushed, new])))
        elif what == "referrer":
            _refer(draw, done, repository, pushed, number)
        else:
            done.deletions.append((repository, pushed.digest))
    return done


def _refer(draw: st.DrawFn, done: Contents, repository: str, subject: Pushed, number: int) -> None:
    if draw(st.booleans()):
        done.pushes.append((repository, dashed(subject.digest, ".sig"), _signature(f"late {number}")))
        return
    sbom = artifact("application/spdx+json", layer(f"late {number}", 150), subject)
    done.pushes.append((repository, f"late-{number}" if draw(st.booleans()) else None, sbom))
    done.pushes.append((repository, dashed(subject.digest), fallback_list([sbom])))


def kinds_of(case: Case) -> dict[str, bool]:
    """What deletion goes wrong with, and whether a case has it."""
    pushes = case.contents.pushes
    tags = [(repository, tag) for repository, tag, _ in pushes if tag]
    named = [tag for _, tag in tags]
    indexes = {pushed.digest: pushed for _, _, pushed in pushes if pushed.children}
    children = [child.digest for pushed in indexes.values() for child in pushed.children]
    return {
        "index": bool(indexes),
        "shared child": len(set(children)) < len(children),
        "nested index": any(child.children for pushed in indexes.values() for child in pushed.children),
        "deleted before": bool(case.contents.deletions),
        "attached": any(tag.startswith("sha256-") for tag in named),
        "cosign repository": any(repository == SIGNATURES for repository, _ in tags),
        "platform tag": any(tag.endswith(tuple(f"-{platform}" for platform in PLATFORMS)) for tag in named),
        "cache": any(b"cacheconfig" in pushed.raw for _, _, pushed in pushes),
        "stand-in": any(b"regscope.stands-in" in pushed.raw for _, _, pushed in pushes),
        "Docker's types": any("docker" in pushed.media_type for _, _, pushed in pushes),
        "moved tag": len(set(tags)) < len(tags),
        "list of rules": isinstance(case.policy, list),
        "in use": any(rule.in_use for rule in (case.policy if isinstance(case.policy, list) else [case.policy])),
    }
