"""The pages on kinematics, spectral types and infrared colours: their SQL runs, their tables are what the code gives."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from becat.etl.archives.spectral_types import parse
from benchmarks import hou_infrared, kinematic_models, spectral_types
from tests.tools.view_rows import add_astrometry, add_star, add_type, catalogue, insert, printed

DOCS = Path(__file__).resolve().parent.parent / "docs"
PAGES = ("kinematics", "spectral_types", "infrared")


def text_of(page):
    return (DOCS / f"{page}.md").read_text(encoding="utf-8")


EXAMPLES = [
    pytest.param(sql, id=f"{page}-{i}")
    for page in PAGES
    for i, sql in enumerate(re.findall(r"```sql\n(.*?)```", text_of(page), re.DOTALL))
]


@pytest.fixture
def filled(con):
    """Stars for every example: one whose types disagree, one at the edge of the colours, runaways in some models only."""
    add_star(con, 1)
    add_type(con, 1, "A5 V", 25, 25, 5, is_peculiar=False)
    con.execute("update spectral_type set is_adopted = false where spectral_type = 'A5 V'")
    add_star(con, 2, h_mag=10.09, k_mag=9.87, e_ebv_mag=0.1)
    for star_id, other in ((1, 20.0), (2, 40.0)):
        add_astrometry(con, star_id, 30.0, parallax_mas=1.0, e_parallax_mas=0.05)
        insert(con, "kinematics", star_id=star_id, kinematic_model="reid_2019", v_tp_km_s=other, e_v_tp_km_s=1.0)
    return con


@pytest.mark.parametrize("sql", EXAMPLES)
def test_sql_runs_on_a_new_catalogue(con, sql):
    con.execute(sql)


@pytest.mark.parametrize("sql", EXAMPLES)
def test_sql_finds_something(filled, sql):
    assert filled.execute(sql).fetchall()


def test_thresholds_and_columns_that_are_named_exist(con):
    known = {row[0] for row in con.execute("select name from selection_parameter").fetchall()}
    known |= {row[0] for row in con.execute("select column_name from duckdb_columns()").fetchall()}
    known |= {row[0] for row in con.execute("select view_name from duckdb_views()").fetchall()}
    known |= {row[0] for row in con.execute("select table_name from duckdb_tables()").fetchall()}
    known |= {row[0] for row in con.execute("select kinematic_model from kinematic_model").fetchall()}
    known |= {"dustmaps", "curve_fit"}
    for page in PAGES:
        for name in re.findall(r"`([a-z]\w*_\w+|[a-z]{4,})`", text_of(page)):
            assert name in known | {"cont", "early", "late", "becat"}, f"{page}.md: {name}"


def type_rows():
    return [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in re.findall(r"^\| `[^`]+` \|.*\| (?:yes|no) \|$", text_of("spectral_types"), re.MULTILINE)
    ]


def span(low, high):
    if low is None:
        return ""
    return f"{low:g}" if low == high else f"{low:g}-{high:g}"


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    with catalogue(tmp_path_factory.mktemp("types") / "c.duckdb") as connection:
        yield connection


@pytest.mark.parametrize("row", type_rows(), ids=lambda row: row[0])
def test_table_of_types(shared, row):
    found = parse(row[0].strip("`"))
    flags = [
        name
        for name, on in (("emission", found.is_emission), ("shell", found.is_shell), ("peculiar", found.is_peculiar))
        if on
    ]
    passes = shared.execute(
        "select passes_type(?::double, ?::double, ?::double, ?)",
        [found.subtype_min, found.subtype_max, found.luminosity_min, found.is_peculiar],
    ).fetchone()[0]
    assert row[1:] == [
        span(found.subtype_min, found.subtype_max),
        span(found.luminosity_min, found.luminosity_max),
        ", ".join(flags),
        "yes" if passes else "no",
    ]


def test_table_of_types_covers_the_printed_ones():
    listed = {row[0].strip("`") for row in type_rows()}
    assert len(listed) >= 25 and {"OBe", "OB", "A", "Ae"} <= listed
    assert {row["spectral_type"] for row in printed("7")} & listed


def test_tables_of_the_kinematic_models():
    page = text_of("kinematics")
    for table in (kinematic_models.models_table(), kinematic_models.errors_table(), kinematic_models.parallax_table()):
        assert table in page
    assert f"up to {kinematic_models.pole_shift():.2f} km/s" in page


def test_words_about_the_models_are_what_the_table_shows():
    _, stars, columns = kinematic_models.printed_stars()
    models, limit = kinematic_models.read_models()
    models = kinematic_models.without_distances(models)
    speeds = kinematic_models.speeds_by_model(stars, models)
    assert (speeds.min(axis=0) > limit).sum() == 7 and f"{limit:.2f}" == "24.05"
    right, as_printed = (
        abs(speed - columns["v_tp_km_s"])
        for model, speed in zip(models, speeds, strict=True)
        if model.kinematic_model in ("wang_2022", "wang_2022_printed_pole")
    )
    assert f"{right.max():.3f}" == f"{as_printed.max():.3f}" == "0.100"
    assert ((right <= 0.05).sum(), (as_printed <= 0.05).sum()) == (14, 8)
    z_pc = kinematic_models.peculiar_velocity(*stars, models[0]).z_pc
    assert abs(z_pc - columns["z_pc"]).min() > 19.5 and ((z_pc < 0) & (columns["z_pc"] > 0)).sum() == 8


def test_table_of_hou(real_data):
    assert hou_infrared.table(real_data / "catalogues" / "hou_2016_subset.csv") in text_of("infrared")


def test_table_of_real_types(real_data):
    assert spectral_types.table(real_data) in text_of("spectral_types")
