"""Every bit has a description, and the page that users read says the same."""

from enum import IntFlag

import pytest

from becat.schema.quality import DESCRIPTIONS, PixelMask, Quality
from tests.conftest import ROOT


@pytest.mark.parametrize("flags", [PixelMask, Quality])
def test_bits_are_single_and_described(flags: type[IntFlag]):
    for flag in flags:
        assert flag.value & (flag.value - 1) == 0
        assert DESCRIPTIONS[flag.name].strip()


def test_page_lists_every_bit():
    page = (ROOT / "docs" / "quality.md").read_text(encoding="utf-8")
    for flag in (*PixelMask, *Quality):
        assert f"| {flag.value} | `{flag.name}` | {DESCRIPTIONS[flag.name]} |" in page
