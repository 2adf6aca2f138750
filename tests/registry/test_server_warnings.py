"""What a registry warns of is shown once, and nothing else is made of it."""

from __future__ import annotations

import warnings

import pytest

from regscope.errors import RegistryWarning
from regscope.registry.client import DockerRegistryV2Client
from regscope.registry.server_warnings import ServerWarnings
from regscope.registry.tags import Tags
from tests.servers import faults
from tests.servers.proxy import FaultProxy


def said(*headers: str) -> list[str]:
    shown = ServerWarnings()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for header in headers:
            shown.show(header, "https://ann:hunter2@registry.test")
    return [str(warning.message) for warning in caught]


@pytest.mark.parametrize(
    ("header", "texts"),
    [
        ('299 - "this tag goes away"', ["this tag goes away"]),
        ('299 - "one", 299 - "two, and three"', ["one", "two, and three"]),
        (r'299 - "a \"quoted\" word"', ['a "quoted" word']),
        ('299 registry.test:5000 "with an agent"', ["with an agent"]),
        ('110 - "stale"', []),
        ("299 - no quotes", []),
        ("", []),
        ('299 - "\x1b[31mred"', [" [31mred"]),
    ],
)
def test_only_warnings_of_the_persistent_kind_are_read(header: str, texts: list[str]) -> None:
    assert said(header) == [f"https://registry.test: {text}" for text in texts]


def test_each_text_is_shown_once_and_a_registry_is_not_heard_for_ever() -> None:
    assert len(said('299 - "a"', '299 - "a"', '299 - "b"')) == 2
    assert len(said(*(f'299 - "{number}"' for number in range(1000)))) == 100


def test_a_registry_that_warns_is_still_read(proxy: FaultProxy, proxied: DockerRegistryV2Client) -> None:
    proxy.rule(faults.replace_header("/tags/", "Warning", '299 - "moving to another host"'))
    with pytest.warns(RegistryWarning, match="moving to another host"):
        assert Tags("base", proxied).list() == ["1", "stable"]
    assert Tags("base", proxied).list() == ["1", "stable"]  # a second warning would be an error here
