"""The schema: lines, thresholds, tables, the template, and what an older or bare DuckDB makes of it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import duckdb
import numpy as np
import pytest

from becat.schema import build, parameters
from becat.schema.lines import LINES, air_to_vacuum, vacuum_to_air
from becat.schema.tables import TABLES, column_info

ROOT = Path(__file__).resolve().parent.parent
TEMPLATE = ROOT / "catalog.duckdb.template"


@pytest.fixture(scope="module")
def fresh(tmp_path_factory):
    path = tmp_path_factory.mktemp("schema") / "c.duckdb"
    build.create(path, template=path.with_name("there is none"))
    return path


def test_air_and_vacuum_agree_with_specutils():
    utils = pytest.importorskip("specutils.utils.wcs_utils")
    import astropy.units as u

    wavelength = np.linspace(3500, 9000, 50)
    ours = vacuum_to_air(wavelength)
    theirs = utils.vac_to_air(wavelength * u.AA, method="Morton2000").to_value(u.AA)
    assert np.abs(ours - theirs).max() < 1e-4
    assert np.abs(air_to_vacuum(ours) - wavelength).max() < 1e-8


def test_lines_are_vacuum_wavelengths():
    assert LINES["halpha"].wavelength_a == pytest.approx(6564.61, abs=0.01)
    assert vacuum_to_air(LINES["halpha"].wavelength_a) == pytest.approx(6562.79, abs=0.02)
    for line in LINES.values():
        low, high = {"red": (6300, 6800), "blue": (4950, 5350)}[line.arm]
        assert low < line.wavelength_a < high


def test_parameters_as_shipped_and_in_a_catalogue(fresh, tmp_path):
    for p in parameters.load().values():
        assert p.description and p.reference, p.name
        assert np.isfinite(p.value)
    assert parameters.value("q_late_min_mag") == 0.4
    with pytest.raises(KeyError):
        parameters.value("no_such_threshold")
    copy = tmp_path / "c.duckdb"
    copy.write_bytes(fresh.read_bytes())
    with duckdb.connect(str(copy)) as con:
        con.execute("update selection_parameter set value = 0.35 where name = 'q_late_min_mag'")
        assert parameters.value("q_late_min_mag", con) == 0.35
        assert con.execute("select parameter('q_late_min_mag')").fetchone() == (0.35,)


def test_every_threshold_that_a_view_reads_exists(fresh):
    import re

    text = "".join(v.sql for v in build.VIEWS) + "".join(m.sql for m in build.MACROS.values())
    names = set(re.findall(r"parameter\('(\w+)'\)", text)) | set(re.findall(r"'(extinction_ratio_\w+)'", text))
    assert names <= set(parameters.load())


def test_every_column_is_described():
    for table in TABLES.values():
        assert table.comment
        for column in table.columns:
            assert column_info(table.name, column.name)["description"]


def test_views_are_plain_sql_with_a_chain_that_ends_in_final():
    for view in build.VIEWS:
        assert view.comment, view.name
        assert view.sql.startswith("with\n")
        assert view.sql.endswith("select * from final")


def test_every_view_of_stars_tells_where_they_are(fresh):
    views = ("be_candidate", "emission_star", "known_be", "new_cbe", "classical_be", "herbig_aebe", "oe_star",
             "cluster_member_be", "runaway", "verdict", "colour_magnitude", "star_visits", "contaminant")  # fmt: skip
    with duckdb.connect(str(fresh), read_only=True) as con:
        for view in views:
            columns = {row[0] for row in con.execute(f"describe {view}").fetchall()}
            assert {"star_id", "designation", "ra_deg", "dec_deg"} <= columns, view


def test_create_refuses_to_overwrite(fresh):
    with pytest.raises(FileExistsError):
        build.create(fresh)


@pytest.mark.parametrize(
    "touch",
    [
        "",
        "comment on table star is 'of another schema'",
        "update schema_state set digest = 'x'",
        "insert into etl_run (run_id, command) values (1, 'load')",
        "update selection_parameter set value = value + 1 where name = 'snr_min'",
        "damaged",
    ],
)
def test_a_template_is_copied_only_where_it_is_of_this_schema_and_empty(fresh, tmp_path, monkeypatch, touch):
    template, path, built = tmp_path / "template", tmp_path / "c.duckdb", []
    template.write_bytes(b"X" if touch == "damaged" else fresh.read_bytes())
    if touch not in ("", "damaged"):
        with duckdb.connect(str(template)) as con:
            con.execute(touch)
    monkeypatch.setattr(build, "_build", lambda path, build=build._build: (built.append(path), build(path)))
    build.create(path, template)
    assert bool(built) == bool(touch)
    assert contents(path) == contents(fresh)


def test_upgrade_keeps_data_and_changed_thresholds(fresh, tmp_path):
    copy = tmp_path / "c.duckdb"
    copy.write_bytes(fresh.read_bytes())
    with duckdb.connect(str(copy)) as con:
        con.execute("insert into star values (1, 'a', 10, 20, null, false, null)")
        con.execute("update selection_parameter set value = 0.9 where name = 'be_probability_min'")
        con.execute("update selection_parameter set value = 8, default_value = 8 where name = 'snr_min'")
        con.execute("delete from selection_parameter where name = 'ruwe_max'")
        con.execute("drop view funnel")
        con.execute("drop table cluster_match cascade")
        con.execute("alter table photometry drop column w1_mag")
        before = con.execute("select count(*) from wavelength_grid").fetchone()
        build.upgrade(con)
        values = dict(con.execute("select name, value from selection_parameter").fetchall())
        assert (values["be_probability_min"], values["snr_min"], values["ruwe_max"]) == (0.9, 10, 1.4)
        assert con.execute("select count(*) from star").fetchone() == (1,)
        assert con.execute("select count(*) from wavelength_grid").fetchone() == before
        for view in build.VIEWS:
            con.execute(f"select * from {view.name}")


@pytest.mark.parametrize(
    "touch",
    [
        "drop view funnel",
        "create or replace view runaway as select 1 as star_id",
        "create or replace macro parameter(wanted) as 0",
        "alter table photometry drop column w1_mag",
        "comment on table star is 'mine'",
        "delete from selection_parameter where name = 'ruwe_max'",
        "delete from wavelength_grid where pixel > 2000",
        "delete from kinematic_model where not is_default",
        "update selection_parameter set unit = 'mine'",
    ],
)
def test_upgrade_mends_what_was_touched_and_nothing_twice(fresh, tmp_path, monkeypatch, touch):
    """A catalogue that is as the schema built it is left alone: nothing is made anew."""
    copy = tmp_path / "c.duckdb"
    copy.write_bytes(fresh.read_bytes())
    made = []
    monkeypatch.setattr(build, "_create_views", lambda con, make=build._create_views: (made.append(con), make(con)))
    with duckdb.connect(str(copy)) as con:
        build.upgrade(con)
        assert not made
        con.execute(touch)
        build.upgrade(con)
    assert contents(copy) == contents(fresh)


def test_upgrade_follows_a_changed_schema(fresh, tmp_path, monkeypatch):
    copy = tmp_path / "c.duckdb"
    copy.write_bytes(fresh.read_bytes())
    changed = [view._replace(comment="said anew") if view.name == "funnel" else view for view in build.VIEWS]
    monkeypatch.setattr(build, "VIEWS", changed)
    build._digest_of_schema.cache_clear()
    with duckdb.connect(str(copy)) as con:
        build.upgrade(con)
        assert con.execute("select comment from duckdb_views() where view_name = 'funnel'").fetchone() == ("said anew",)
    build._digest_of_schema.cache_clear()


def contents(path):
    """What a catalogue is: columns, comments, views, macros, and the rows that come with it."""
    with duckdb.connect(str(path), read_only=True) as con:
        queries = (
            "select table_name, column_name, data_type, is_nullable, comment from duckdb_columns()"
            " where schema_name = 'main' and not internal order by all",
            "select table_name, comment, has_primary_key from duckdb_tables() order by all",
            "select view_name, comment, sql from duckdb_views() where not internal order by all",
            "select function_name, parameters, macro_definition from duckdb_functions()"
            f" where function_type = 'macro' and not internal and function_name <> '{build.AS_BUILT}' order by all",
            "select * from selection_parameter order by all",
            "select * from kinematic_model order by all",
            "select * from literature_catalogue order by all",
            "select * from published_value order by all",
            "select arm, count(*), min(wavelength_a), max(wavelength_a) from wavelength_grid group by arm order by all",
        )
        return [con.execute(query).fetchall() for query in queries]


def test_template_is_what_the_schema_builds(fresh):
    for ours, shipped in zip(contents(fresh), contents(TEMPLATE), strict=True):
        assert shipped == ours, "the template is stale: run `becat template`"


def test_storage_version_is_one_that_older_duckdb_reads(fresh):
    with duckdb.connect() as con:
        con.execute(f"attach '{fresh}' as c (read_only)")
        tags = con.execute("select tags from duckdb_databases() where database_name = 'c'").fetchone()[0]
    assert "v1.0.0" in str(tags) or "v1.1" in str(tags), tags
    header = fresh.read_bytes()[:64]
    assert header[8:12] == b"DUCK"
    assert int.from_bytes(header[12:20], "little") == 64  # the format of DuckDB 0.10 to 1.1


def test_template_in_a_bare_process(tmp_path):
    """Every view of the template can be selected from with DuckDB alone, none of our packages imported."""
    program = """
import sys, duckdb
connection = duckdb.connect(sys.argv[1], read_only=True)
views = [row[0] for row in connection.execute("select view_name from duckdb_views() where not internal").fetchall()]
for view in views:
    connection.execute(f"select * from {view}").fetchall()
assert not {"schema", "udfs", "sqlalchemy"} & set(sys.modules)
print(len(views))
"""
    done = subprocess.run(
        [sys.executable, "-c", program, str(TEMPLATE)], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) == len(build.VIEWS)
