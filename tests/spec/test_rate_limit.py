"""What is left of a quota."""

from __future__ import annotations

import pytest

from regscope.spec.rate_limit import RateLimit, parse_rate_limit


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"RateLimit-Limit": "100;w=21600", "RateLimit-Remaining": "76;w=21600"}, RateLimit(76, 100, 21600)),
        ({"RateLimit-Remaining": "0"}, RateLimit(0)),
        ({"X-RateLimit-Limit": "5000", "X-RateLimit-Remaining": "4999"}, RateLimit(4999, 5000)),
        ({"RateLimit-Limit": "100;w=60", "RateLimit-Remaining": "3"}, RateLimit(3, 100, 60)),
        ({"RateLimit-Remaining": "many"}, None),
        ({"RateLimit-Limit": "100"}, None),
        ({}, None),
    ],
)
def test_header_fields_are_read_in_their_several_forms(headers: dict[str, str], expected: RateLimit | None) -> None:
    assert parse_rate_limit(headers) == expected


def test_it_reads_as_a_sentence() -> None:
    assert str(RateLimit(76, 100, 21600)) == "76 of 100 left in 6 hours"
    assert str(RateLimit(3)) == "3 left"
