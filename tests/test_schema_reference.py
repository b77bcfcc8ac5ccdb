"""The generated reference page is fresh."""

from __future__ import annotations

from becat.schema.reference import PAGE, reference


def test_reference_is_fresh():
    assert PAGE.read_text(encoding="utf-8") == reference(), (
        "docs/reference.md is stale: run python -m becat.schema.reference"
    )
