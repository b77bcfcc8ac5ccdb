"""What a changed threshold or another catalogue does to the verdicts."""

from __future__ import annotations

import duckdb
import pytest

from becat.diff import compare, verdicts, verdicts_with
from becat.etl.catalogue.connection import open_catalogue
from becat.schema.errors import BecatError
from tests.tools.pipeline_tools import becat, contents, new_catalogue


@pytest.fixture
def catalogue(tmp_path):
    path = new_catalogue(tmp_path / "a.duckdb")
    with duckdb.connect(str(path)) as connection:
        for i, snr in enumerate((8.0, 12.0, 40.0)):
            connection.execute(
                "insert into star (star_id, designation, ra_deg, dec_deg, is_simulated) values (?, ?, 10, 20, true)",
                [i, f"J{i}"],
            )
            connection.execute(
                """insert into spectrum (spectrum_id, star_id, survey, is_simulated, file, coadd, has_blue, snr_b, snr_r)
                values (?, ?, 'LAMOST MRS', true, 'f', true, true, ?, ?)""",
                [i, i, snr, snr],
            )
    return path


def test_other_thresholds_move_stars_and_leave_the_catalogue(catalogue):
    before = contents(catalogue)
    with open_catalogue(catalogue) as connection:
        changes = compare(verdicts(connection), verdicts_with(connection, {"snr_min": 20.0}))
    assert [(c[0], c[1], c[4], c[5]) for c in changes] == [("moved", "J1", "early_by_lines", "good_snr")]
    assert contents(catalogue) == before


def test_unknown_threshold_is_named(catalogue):
    with open_catalogue(catalogue) as connection, pytest.raises(BecatError, match="snr_mim"):
        verdicts_with(connection, {"snr_mim": 20.0})


def test_two_catalogues(catalogue, tmp_path):
    other = tmp_path / "b.duckdb"
    other.write_bytes(catalogue.read_bytes())
    with duckdb.connect(str(other)) as connection:
        connection.execute("delete from spectrum where spectrum_id = 2")
        connection.execute("delete from star where star_id = 2")
    out = becat("diff", catalogue, other).stdout
    assert out.splitlines()[0] == "classical Be stars: 1 fails at another step"
    assert "J2" in out and "early_by_lines" in out and "not there" in out
    assert "no star differs" in becat("diff", catalogue, catalogue).stdout
    assert "J1" in becat("diff", catalogue, "--set", "snr_min=20").stdout
    assert becat("diff", catalogue, "--set", "snr_min=x", check=2).stderr.count("\n") == 1


def test_a_threshold_is_shown_kept_and_followed_by_the_views(catalogue):
    listed = becat("threshold", "-c", catalogue).stdout.splitlines()
    assert len(listed) > 20 and "shipped as" not in "".join(listed)
    kept = becat("threshold", "snr_min=20", "q_late_min_mag=-0.1", "-c", catalogue).stdout
    assert kept.startswith("snr_min was 10, is 20\nq_late_min_mag was ") and "good_snr" in kept
    with duckdb.connect(str(catalogue), read_only=True) as connection:
        assert connection.execute("select spectra from funnel where name = 'good_snr'").fetchone() == (1,)
    shown = becat("threshold", "snr_min", "-c", catalogue).stdout
    assert shown.startswith("snr_min = 20 (shipped as 10)\n  Lowest signal-to-noise ratio")
    assert "(shipped as 10)" in next(
        x for x in becat("threshold", "-c", catalogue).stdout.splitlines() if "snr_min" in x
    )


@pytest.mark.parametrize(
    ("word", "code", "words"),
    [
        ("snr_mim=20", 1, "no threshold snr_mim: did you mean snr_min"),
        ("nothing", 1, "no threshold nothing: `becat threshold` lists them"),
        ("snr_min=", 2, "give a name and a number"),
        ("snr_min=inf", 1, "snr_min must be a finite number"),
    ],
)
def test_a_threshold_that_cannot_be_kept_is_told(catalogue, word, code, words):
    before = contents(catalogue)
    done = becat("threshold", word, "-c", catalogue, check=code)
    assert words in done.stderr and done.stderr.count("\n") == 1
    assert contents(catalogue) == before
