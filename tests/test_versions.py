"""What makes a stage stale, and what does not."""

from pathlib import Path

import pytest

from becat.etl.catalogue import versions

CODE = '''"""A module."""
from a.b import c

__all__ = ["f"]
LIMIT = 3.0  # km/s


def g(x):
    return x


def f(x: float) -> float:
    """Add the limit."""
    import math

    # why
    return math.floor(g(x)) + LIMIT
'''


def digest(folder: Path, **files: str) -> str:
    folder.mkdir()
    for name, text in files.items():
        (folder / f"{name}.py").write_text(text)
    return versions.digest_of_files(sorted(folder.iterdir()))


MOVED = CODE.replace("a.b", "becat.x")


@pytest.mark.parametrize(
    "files",
    [
        {"m": CODE.replace("# why", "# for another reason").replace("# km/s", "")},
        {"m": CODE.replace("Add the limit.", "Add the limit to a number.").replace("A module", "The module")},
        {"n": MOVED},
        {"m": CODE.split("\n\n\ndef f")[0], "other": "from m import LIMIT, g\n\n\ndef f" + CODE.split("def f")[1]},
        {"m": CODE.replace("x: float) -> float", "x)").replace('["f"]', '["f", "g"]')},
    ],
    ids=["comment", "docstring", "file and imports", "two files", "annotation"],
)
def test_what_cannot_change_a_result_makes_nothing_stale(tmp_path, files):
    assert digest(tmp_path / "before", m=CODE) == digest(tmp_path / "after", **files)


@pytest.mark.parametrize(
    "text",
    [CODE.replace("3.0", "3.1"), CODE.replace("floor", "ceil"), CODE.replace("+ LIMIT", "- LIMIT"), CODE + "\nf(1)\n"],
    ids=["constant", "call", "operator", "statement"],
)
def test_what_can_change_a_result_makes_the_stage_stale(tmp_path, text):
    assert digest(tmp_path / "before", m=CODE) != digest(tmp_path / "after", m=text)


def test_data_files_count_by_their_bytes(tmp_path):
    (tmp_path / "a.csv").write_text("1,2\n")
    (tmp_path / "b.csv").write_text("1,3\n")
    assert versions.digest_of_files([tmp_path / "a.csv"]) != versions.digest_of_files([tmp_path / "b.csv"])


def test_a_declared_equal_keeps_the_version(tmp_path, monkeypatch):
    record = tmp_path / "versions.toml"
    monkeypatch.setattr(versions, "RECORD", record)
    now = versions.stage_digest("kinematics")
    found = []
    for text in (
        "",
        f'[kinematics]\ndigest = "{now}"\nsame_as = "before"\n',
        '[kinematics]\ndigest = "older"\nsame_as = "before"\n',
    ):
        record.write_text(text)
        versions._seed.cache_clear()
        found.append(versions.code_version("kinematics"))
    versions._seed.cache_clear()
    assert found[0] == found[2] != found[1]


def test_every_stage_reads_files_that_exist():
    for stage in versions.DEPENDS_ON:
        assert all(file.is_file() for file in versions._files(stage))
        assert len(versions.code_version(stage)) == 12
