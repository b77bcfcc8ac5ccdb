"""The selection as it is declared: a new step shows everywhere, unknown is not failed, and the views do what the files say."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import duckdb
import numpy as np
import pytest

from becat import show
from becat.etl.archives.spectral_types import parse_table
from becat.etl.kinematics.fill import compute_kinematics
from becat.etl.kinematics.velocity import KinematicModel, peculiar_velocity
from becat.schema import build, parameters, selection
from becat.schema.bind import bind
from becat.schema.errors import BecatError
from becat.schema.selection import SELECTION
from becat.udfs.nebular import strongest_significance
from tests.tools.pipeline_tools import becat, new_catalogue
from tests.tools.site_fixture import make_catalogue
from tests.tools.view_rows import add_astrometry, add_match, add_spectrum, add_star, insert, stars

RUWE = """-- 95 · Stars whose astrometry is sound.
--: step = "ruwe"
--: of = "star"
--: label = "Sound astrometry"
--: [95]
--: quantity = "RUWE"
--: value = "astrometry.ruwe"
--: side = "below"
--: parameter = "ruwe_max"
--: missing = "passes"
--: decided_by = "no astrometry: `becat fetch gaia`"
--: slider = [0, 10, 0.1]
with
typed as (select * from {previous}),
final as (
    select * from typed where {passes}
)
select * from final
"""


def results(con, star_id=1):
    return dict(
        con.execute(
            "select test, result from verdict_step where star_id = ? and rank_in_star = 1", [star_id]
        ).fetchall()
    )


def test_every_number_of_the_selection_is_declared_once():
    for _, test in SELECTION.tests:
        assert set(test.parameters) <= set(parameters.load()), test
        assert test.missing in ("passes", "fails") or test.missing in parameters.load(), test
        assert test.decided_by, test


def test_a_new_step_is_its_file_and_its_parameter(con, tmp_path, capsys):
    folder = tmp_path / "views"
    shutil.copytree(Path(selection.__file__).with_name("views"), folder)
    (folder / "095_sound_star.sql").write_text(RUWE)
    declared = selection.read(folder)
    views = build.read_views(folder, declared)
    for view in views:
        con.execute(f"create or replace view {view.name} as\n{bind(view.sql, build.MACROS, views)}")
    for star_id, ruwe in ((1, 1.0), (2, 3.0), (3, None)):
        add_star(con, star_id)
        if ruwe:
            add_astrometry(con, star_id, 8.0, ruwe=ruwe)
    add_star(con, 4)
    add_match(con, 4, "neiner_2011", "CBe")
    assert stars(con, "sound_star") == stars(con, "new_cbe") == {1, 3}
    assert stars(con, "classical_be") == {1, 3, 4}
    assert con.execute("select name, stars from funnel where step in (90, 95, 100, 110) order by step").fetchall() == [
        ("spectral_type", 3), ("ruwe", 2), ("infrared", 2), ("classical_be", 3),
    ]  # fmt: skip
    assert dict(con.execute("select * from outcome").fetchall())["sound_star"] == 2
    assert con.execute("select step, value, threshold, result from verdict where star_id = 2").fetchone() == (
        95,
        3.0,
        1.4,
        "fail",
    )
    assert results(con, 3)[95] == "unknown" and results(con, 4)[95] == "not asked"
    show.print_funnel(con)
    show.print_why(con, "3")
    told = capsys.readouterr().out
    assert "ruwe" in told and "RUWE" in told and "becat fetch gaia" in told
    assert declared.sliders["ruwe_max"] == (0, 10, 0.1)


def test_a_new_step_is_on_the_site_and_in_the_figure_of_the_report(tmp_path):
    """The whole package with one file more, in a process of its own."""
    root, package = Path(__file__).parents[1], tmp_path / "path" / "becat"
    package.mkdir(parents=True)
    rooms = [root / room for room in ("etl", "models", "publish", "simulate", "udfs")]
    for part in (*(root / "becat").iterdir(), *rooms):
        (package / part.name).symlink_to(part)
    shutil.copytree(root / "schema", package / "schema")
    (package / "schema" / "views" / "095_sound_star.sql").write_text(RUWE)
    ran = subprocess.run(
        [sys.executable, "-m", "tests.tools.new_step", tmp_path],
        env=os.environ | {"PYTHONPATH": f"{package.parent}{os.pathsep}{root}"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert ran.returncode == 0, ran.stderr
    made = json.loads(ran.stdout.splitlines()[-1])
    front, sliders = made["pages"]
    assert "Sound astrometry" in front and "ruwe_max" in sliders
    assert "Sound astrometry" in made["figure"]


NORTH = """-- 45 · Spectra of the north.
--: step = "north"
--: of = "spectrum"
--: label = "North"
--: [{number}]
--: quantity = "declination"
--: unit = "deg"
--: value = "spectrum.dec_deg"
--: side = "above"
--: parameter = "snr_min"
--: decided_by = "no position"
with
before as (select * from {{previous}}),
final as (
    select * from before where {{passes}}
)
select * from final
"""


@pytest.mark.parametrize("number", [25, 45])
def test_a_step_of_the_spectrum_alone_can_stand_anywhere(con, tmp_path, number):
    folder = tmp_path / "views"
    shutil.copytree(Path(selection.__file__).with_name("views"), folder)
    (folder / f"0{number}_step_{number}_north.sql").write_text(NORTH.format(number=number))
    views = build.read_views(folder, selection.read(folder))
    for view in views:
        con.execute(f"create or replace view {view.name} as\n{bind(view.sql, build.MACROS, views)}")
    for star_id, dec_deg in ((1, 5.0), (2, 50.0), (3, 60.0)):
        add_star(con, star_id, dec_deg=dec_deg)
    assert con.execute(f"select count(*) from step_{number}_north").fetchone() == (2,)
    assert con.execute("select spectra, stars from funnel where name = 'north'").fetchall() == [(2, 2)]


@pytest.mark.parametrize(
    ("number", "of", "value", "parameter", "told"),
    [
        (5, "spectrum", "spectrum.dec_deg", "snr_min", "nothing stands before it"),
        (30, "spectrum", "spectrum.dec_deg", "snr_min", "that number is taken"),
        (65, "spectrum", "spectrum.dec_deg", "snr_min", "before the inspection"),
        (45, "star", "spectrum.dec_deg", "snr_min", "between 72 and 110"),
        (45, "spectrum", "star.dec_deg", "snr_min", "every view joins by itself"),
        (45, "spectrum", "dec_deg", "snr_min", "does not say of which table"),
        (45, "spectrum", "spectrum.declination", "snr_min", "which there is not"),
        (45, "spectrum", "nothing.dec_deg", "snr_min", "which there is not"),
        (45, "spectrum", "spectrum.dec_deg", "dec_min", "no row in parameters.toml"),
    ],
)
def test_a_step_where_none_can_stand_is_told_in_words(tmp_path, number, of, value, parameter, told):
    folder = tmp_path / "views"
    shutil.copytree(Path(selection.__file__).with_name("views"), folder)
    text = NORTH.format(number=number).replace('of = "spectrum"', f'of = "{of}"')
    text = text.replace('"spectrum.dec_deg"', f'"{value}"').replace('"snr_min"', f'"{parameter}"')
    (folder / f"{number:03d}_step_{number}_north.sql").write_text(text)
    with pytest.raises(ValueError, match=rf"{number:03d}_step_{number}_north.sql declares step {number} .*{told}"):
        selection.read(folder)


def test_the_reset_of_thresholds_is_a_command(tmp_path):
    path = new_catalogue(tmp_path / "c.duckdb")
    assert "is 0.9" in becat("threshold", "be_probability_min=0.9", "ew_halpha_max_a=5", "-c", path).stdout
    said = becat("threshold", "--reset", "be_probability_min", "-c", path).stdout
    assert "be_probability_min was 0.9" in said and "ew_halpha_max_a" not in said and "classical_be" in said
    assert "ew_halpha_max_a was 5" in becat("threshold", "--reset", "-c", path).stdout
    assert becat("threshold", "--reset", "no_such_one", "-c", path, check=1).stdout == ""
    with duckdb.connect(str(path), read_only=True) as connection:
        assert connection.execute(
            "select count(*) from selection_parameter where value <> default_value"
        ).fetchone() == (0,)


def test_a_star_without_archives_is_not_decided(con, capsys):
    add_star(con, 1, spectral_type=None, photometry=False)
    assert con.execute("select step, result, decided_by, is_classical_be from verdict").fetchone() == (
        90, "unknown", "no spectral type: `becat fetch skiff_2014 simbad`", False,
    )  # fmt: skip
    found = results(con)
    assert {number for number, result in found.items() if result == "unknown"} >= {40, 80, 81, 90, 91, 92, 93, 100, 101}
    assert "fail" not in found.values()
    show.print_why(con, "1")
    told = capsys.readouterr().out
    assert (
        "not decided: it stops at spectral_type" in told
        and "becat fetch skiff_2014 simbad" in told
        and "FAIL" not in told
    )


def test_a_star_that_data_refuse_is_refused_whatever_is_unknown(con):
    add_star(con, 1, spectral_type=None, w1_mag=8.0)
    assert con.execute("select step, result from verdict").fetchone() == (90, "fail")


def test_lists_that_are_loaded_make_absence_known(con):
    add_star(con, 1)
    assert results(con)[80] == results(con)[81] == "unknown"
    con.execute("update literature_catalogue set n_rows = 10 where catalogue_id = 'vieira_2003'")
    assert results(con)[80] == "pass" and results(con)[81] == "unknown"


@pytest.mark.parametrize(
    ("name", "changes", "view"),
    [
        ("type_unknown_passes", {"spectral_type": None}, "typed_candidate"),
        ("colours_unknown_pass", {"w1_mag": None}, "new_cbe"),
        ("q_unknown_passes", {"j_mag": None}, "step_40_q_index"),
        ("teff_unknown_passes", {"teff_k": None}, "step_20_teff"),
        ("unclassified_passes", {"profile_class": "absorption"}, "emission_star"),
    ],
)
def test_whether_the_unknown_passes_is_a_switch(con, name, changes, view):
    add_star(con, 1, **changes)
    for value in (0, 1):
        con.execute("update selection_parameter set value = ? where name = ?", [value, name])
        assert stars(con, view) == ({1} if value else set())


def test_what_the_rules_cannot_place_is_kept_and_said(con):
    add_star(con, 1, profile_class="absorption", be_probability=0.9999)
    assert con.execute("select profile_class from classical_be").fetchall() == [("unclassified",)]
    assert results(con)[70] == "unknown"
    insert(con, "inspection", inspection_id="1", star_id=1, inspector="ann", is_be=True, profile_class="absorption",
           inspected_at="2026-01-01")  # fmt: skip
    assert stars(con, "classical_be") == set()
    add_star(con, 2, profile_class="absorption", be_probability=0.1)
    assert con.execute("select profile_class from spectrum_verdict where star_id = 2").fetchone() == ("absorption",)


def test_a_star_is_in_emission_if_any_epoch_is(con):
    add_star(con, 1, snr_r=200, profile_class="absorption with shell", mjd=58000.2)
    for i in range(3):
        add_spectrum(con, 10 + i, 1, snr_r=50 + i, mjd=58100.2 + 30 * i)
    assert con.execute("select spectrum_id, n_spectra from classical_be").fetchall() == [(12, 3)]
    assert con.execute("select spectrum_id, n_spectra from be_candidate").fetchall() == [(1, 4)]
    assert con.execute("select spectrum_id, is_classical_be from verdict").fetchall() == [(12, True)]
    assert con.execute(
        "select n_epochs, n_emission, n_absorption_with_shell, mjd_first_emission, class_changes from emission_change"
    ).fetchall() == [(4, 3, 1, 58100.2, True)]


def test_known_stars_are_a_branch_that_adds_up(con):
    for star_id in range(1, 8):
        add_star(con, star_id, spectral_type=None if star_id in (1, 2) else "B2")
    for star_id in (1, 3, 4):
        add_match(con, star_id, "neiner_2011", "CBe")
    funnel = dict(con.execute("select name, stars from funnel").fetchall())
    assert (
        funnel["emission"] == 7 and funnel["known_be"] == 3 and funnel["contaminant"] == 4 and funnel["infrared"] == 3
    )
    assert funnel["classical_be"] == funnel["known_be"] + funnel["infrared"] == len(stars(con, "classical_be"))


def test_epochs_are_counted_by_the_class_that_the_selection_takes(con):
    """Weak emission on a second look, and what the rules cannot place, are no absorption where the classifier sees a Be star."""
    add_star(con, 1)
    for spectrum_id, second_look, probability in (
        (11, "weak emission", 0.99), (12, "weak emission", 0.1), (13, "absorption", 0.99), (14, "absorption", 0.1),
    ):  # fmt: skip
        add_spectrum(
            con, spectrum_id, 1, mjd=58000.0 + spectrum_id, be_probability=probability, profile_class="absorption"
        )
        con.execute(
            "update profile_class set profile_class_on_second_look = ? where spectrum_id = ?",
            [second_look, spectrum_id],
        )
    assert con.execute(
        "select n_epochs, n_emission, n_unclassified, n_absorption, mjd_last_emission, class_changes from emission_change"
    ).fetchall() == [(5, 2, 1, 2, 58011.0, True)]


def test_one_star_is_asked_of_its_own_rows_alone(con):
    """A condition on star_id goes through the list of candidates to every table: none is read whole."""
    con.execute("""
        insert into star (star_id, designation, ra_deg, dec_deg, is_simulated) select i, 'x', 1, 1, false from range(1000) t(i);
        insert into spectrum (spectrum_id, star_id, survey, is_simulated, file, coadd, has_blue, snr_b, snr_r)
        select i, i, 'x', false, 'f', true, true, 50, 50 from range(1000) t(i);
        insert into line_measurement (spectrum_id, ew_halpha_a, ew_mgb_a) select i, -8, 0.2 from range(1000) t(i);
        insert into be_score (spectrum_id, model_id, be_probability) select i, 'm1', 0.99 from range(1000) t(i);
        insert into profile_class (spectrum_id, profile_class) select i, 'emission' from range(1000) t(i);
        insert into photometry (star_id, j_mag, h_mag, k_mag) select i, 10, 9.95, 9.9 from range(1000) t(i);
        insert into reddening (star_id, ebv_mag) select i, 0.3 from range(1000) t(i)""")
    for view in ("candidate_spectrum", "be_candidate", "emission_star", "classical_be"):
        (plan,) = (row[1] for row in con.execute(f"explain (format json) from {view} where star_id = 7").fetchall())
        for table in ("star", "spectrum", "photometry", "reddening"):
            (scan,) = (node for node in _nodes(json.loads(plan)) if node.get("Table", "").endswith(f".{table}"))
            assert "star_id=7" in str(scan.get("Filters", "")), (view, table)


def _nodes(plan):
    for node in plan:
        yield node.get("extra_info", {})
        yield from _nodes(node.get("children", []))


LRS, MRS = 1800, 7500


@pytest.mark.parametrize(
    ("changes", "is_nebular"),
    [
        ({"nebular_significance": 8.0, "fwhm_halpha_km_s": 180.0, "resolving_power": LRS}, True),
        ({"nebular_significance": 8.0, "fwhm_halpha_km_s": 180.0, "resolving_power": MRS}, False),
        ({"nebular_significance": 8.0, "fwhm_halpha_km_s": None}, True),
        ({"nebular_significance": 2.0, "forbidden_line_significance": 12.0, "fwhm_halpha_km_s": 60.0}, True),
        ({"nebular_significance": 2.0, "forbidden_line_significance": 9.0, "fwhm_halpha_km_s": 60.0}, False),
        ({"nebular_significance": -27.0, "fwhm_halpha_km_s": 60.0}, True),
        ({"nebular_significance": -27.0, "fwhm_halpha_km_s": 400.0}, False),
    ],
)
def test_nebular(con, changes, is_nebular):
    add_star(con, 1, **{k: v for k, v in changes.items() if k in ("nebular_significance", "fwhm_halpha_km_s")})
    con.execute("update spectrum set resolving_power = ?", [changes.get("resolving_power", MRS)])
    con.execute(
        "update line_measurement set forbidden_line_significance = ?", [changes.get("forbidden_line_significance")]
    )
    assert stars(con, "new_cbe") == (set() if is_nebular else {1})
    assert con.execute("select is_nebular from contaminant").fetchall() == ([(True,)] if is_nebular else [])


def test_upper_limits_of_2mass_are_no_photometry(con):
    add_star(con, 1, j_mag=12.0)
    con.execute("update photometry set tmass_quality = 'UAA'")
    assert con.execute("select q_mag, lacks_q from step_40_q_index").fetchall() == [(None, True)]
    con.execute("update photometry set tmass_quality = 'AAA'")
    assert stars(con, "step_40_q_index") == set()
    con.execute("update photometry set j_mag = 10.0, allwise_quality = 'UUUU'")
    assert con.execute("select step, result from verdict").fetchall() == [(100, "unknown")]
    con.execute("update photometry set allwise_quality = 'AAAU'")
    assert stars(con, "new_cbe") == {1}


def _size(value):
    return None if value is None else abs(value)


def _independent(row, limits):
    """The first test that a spectrum fails, read from the declaration without SQL: values by hand, sides by their names."""
    near = (row["tmass_separation_arcsec"] or 0) <= 3
    good = [near and letter in "ABCD" for letter in row["tmass_quality"] or "AAA"]
    j, h, k = ((row[b] if fine else None) for b, fine in zip(("j_mag", "h_mag", "k_mag"), good, strict=True))
    near = (row["allwise_separation_arcsec"] or 0) <= 3 and (row["allwise_quality"] or "A")[0] in "ABC"
    w1 = row["w1_mag"] if near else None

    def colour(*needed, make):
        return None if any(value is None for value in needed) else make(*needed)

    values = {
        10: row["snr_r"], 11: row["snr_b"], 20: row["teff_k"], 30: row["ew_halpha_a"], 31: row["ew_mgb_a"],
        40: colour(j, h, k, make=lambda j, h, k: (j - h) - 1.7 * (h - k)), 50: row["be_probability"],
        82: _size(row["nebular_significance"]), 83: _size(row["forbidden_line_significance"]), 90: row["subtype_max"], 91: row["subtype_min"], 92: row["luminosity_min"],
        100: colour(h, k, row["ebv_mag"], make=lambda h, k, e: h - k - (0.190 - 0.114) * 3.1 * e),
        101: colour(k, w1, row["ebv_mag"], make=lambda k, w, e: k - w - (0.114 - 0.061) * 3.1 * e),
    }  # fmt: skip
    look = row["profile_class_on_second_look"] or row["profile_class"]
    is_be = (row["be_probability"] or 0) >= limits["be_probability_min"]
    klass = {"absorption": "unclassified", "weak emission": "emission"}.get(look, look) if is_be else look
    broad = row["fwhm_halpha_km_s"] is not None and (
        row["fwhm_halpha_km_s"] ** 2 - (299792.458 / row["resolving_power"] if row["resolving_power"] else 0) ** 2
        >= 150**2
    )
    other = {
        60: row["is_be"] is not False,
        70: klass in ("emission", "unclassified"),
        80: row["herbig"] is None,
        81: row["hii"] is None,
        93: not row["is_peculiar"],
    }
    asked = {
        11: row["has_blue"],
        31: row["has_blue"] or row["ew_mgb_a"] is not None,
        82: not broad,
        83: not broad,
    }
    for step, test in SELECTION.tests:
        if step.of == "star" and row["is_known"]:
            return None
        value, sides = values.get(test.test), test.parameters
        if not asked.get(test.test, True):
            continue
        if test.test in other:
            passes = other[test.test]
        elif value is None:
            passes = {"passes": True, "fails": False}.get(test.missing, limits.get(test.missing) == 1)
        elif test.side == "outside":
            passes = value < limits[sides[0]] or value > limits[sides[1]]
        else:
            limit = limits[sides[0]]
            passes = {
                "above": value > limit,
                "at_least": value >= limit,
                "below": value < limit,
                "at_most": value <= limit,
            }[test.side]
        if not passes:
            return test.test
    return None


def _expected(con):
    """The first test that each spectrum fails, by `_independent`."""
    limits = dict(con.execute("select name, value from selection_parameter").fetchall())
    rows = con.execute("""
        select spectrum.spectrum_id, spectrum.star_id, snr_r, snr_b, has_blue, teff_k, ew_halpha_a, ew_mgb_a, nebular_significance, fwhm_halpha_km_s,
            j_mag, h_mag, k_mag, w1_mag, tmass_separation_arcsec, allwise_separation_arcsec, ebv_mag, be_probability, profile_class,
            tmass_quality, allwise_quality, forbidden_line_significance, resolving_power, profile_class_on_second_look, is_peculiar, is_be,
            subtype_min, subtype_max, luminosity_min, is_known, herbig, hii
        from spectrum
        left join line_measurement using (spectrum_id) left join (select spectrum_id, be_probability from be_score where model_id = (select model_id from current_model)) using (spectrum_id) left join profile_class using (spectrum_id)
        left join photometry using (star_id) left join reddening using (star_id)
        left join (from spectral_type where is_adopted) using (star_id) left join (select star_id, is_be from inspection) using (star_id)
        left join (
            select star_id, bool_or(object_class = 'CBe') as is_known, max(case when object_class = 'Herbig Ae/Be' then 1 end) as herbig,
                max(case when object_class = 'H II region' then 1 end) as hii
            from literature_match where is_best group by star_id
        ) using (star_id)""")
    names = [column[0] for column in rows.description]
    return {row[0]: _independent(dict(zip(names, row, strict=True)), limits) for row in rows.fetchall()}


def test_the_views_agree_with_an_independent_reading_of_the_declaration(con):
    con.execute("select setseed(0.25)")
    con.execute("""
        create temp table drawn as
        select i as star_id, random() a, random() b, random() c, random() d, random() e, random() f, random() g, random() h, random() k,
            random() l, random() m, random() n, random() o, random() p
        from range(4000) t(i);
        insert into star (star_id, designation, ra_deg, dec_deg, is_simulated) select star_id, 'x', 1, 1, false from drawn;
        insert into photometry (star_id, j_mag, h_mag, k_mag, w1_mag, tmass_separation_arcsec, allwise_separation_arcsec,
            tmass_quality, allwise_quality)
        select star_id, if(a < 0.1, null, 9.9 + 0.2 * b + if(c < 0.1, 1, 0)), if(d < 0.1, null, 9.8 + 0.3 * e), 9.6 + 0.4 * f,
            if(g < 0.1, null, 9 + h), if(k < 0.1, 9, if(k < 0.2, null, 0.2)), if(b < 0.1, 9, 0.2),
            if(l < 0.1, 'UAA', if(l < 0.15, 'AAU', if(l < 0.6, 'AAA', null))), if(m < 0.1, 'UUUU', if(m < 0.5, 'AAAA', null))
        from drawn where random() < 0.9;
        insert into reddening (star_id, ebv_mag) select star_id, if(b < 0.1, null, 1.5 * c) from drawn where random() < 0.9;
        insert into spectral_type (star_id, catalogue_id, spectral_type, reference, subtype_min, subtype_max, luminosity_min, is_adopted,
            is_peculiar)
        select star_id, 'x', 't', 'r', if(c < 0.05, null, 7 + 17 * d), if(c < 0.05, null, 7 + 17 * d), if(e < 0.5, null, 1 + 4 * f), true,
            if(p < 0.05, true, if(p < 0.5, false, null))
        from drawn where random() < 0.9;
        insert into literature_match (star_id, catalogue_id, object_name, object_class, is_best)
        select star_id, 'hou_2016', 'n', if(d < 0.5, 'CBe', 'Herbig Ae/Be'), true from drawn where e < 0.15;
        insert into literature_match (star_id, catalogue_id, object_name, object_class, is_best)
        select star_id, 'hou_2016', 'h', 'H II region', true from drawn where l > 0.93;
        insert into inspection (inspection_id, star_id, inspector, is_be, inspected_at)
        select star_id, star_id, 'ann', n < 0.6, '2026-01-01' from drawn where m > 0.85;
        insert into spectrum (spectrum_id, star_id, survey, is_simulated, file, coadd, has_blue, snr_b, snr_r, teff_k,
            resolving_power)
        select star_id, star_id, 'x', false, 'f', true, a < 0.85, if(b < 0.05, null, 5 + 80 * c), if(d < 0.02, null, 8 + 80 * e),
            if(f < 0.7, null, 4000 + 8000 * g), if(o < 0.5, 7500, if(o < 0.9, 1800, null)) from drawn;
        insert into line_measurement (spectrum_id, ew_halpha_a, ew_mgb_a, nebular_significance, fwhm_halpha_km_s,
            forbidden_line_significance)
        select star_id, if(h < 0.03, null, -10 + 21 * k), if(a < 0.1, null, 1.3 * b), if(c < 0.1, null, 12 * d - 6),
            if(e < 0.1, null, 100 + 150 * f), if(n < 0.2, null, 24 * n - 12) from drawn where random() < 0.98;
        insert into be_score (spectrum_id, model_id, be_probability) select star_id, 'm1', if(g < 0.03, null, 0.4 + 0.6 * h) from drawn;
        insert into profile_class (spectrum_id, profile_class, profile_class_on_second_look)
        select star_id, if(k < 0.7, 'emission', if(k < 0.8, 'absorption', if(k < 0.9, 'emission with shell', null))),
            if(k between 0.7 and 0.8 and n < 0.5, 'weak emission', null) from drawn""")
    expected = _expected(con)
    assert len(expected) == 4000 and len(set(expected.values())) == len(SELECTION.tests) + 1  # every test refuses some
    assert dict(con.execute("select spectrum_id, failed_test from spectrum_verdict").fetchall()) == expected
    assert stars(con, "classical_be") == {star for star, failed in expected.items() if failed is None}


def test_the_views_agree_with_an_independent_reading_of_a_survey(tmp_path):
    """Rows as a survey has them: several spectra of a star, one of which decides."""
    with duckdb.connect(str(make_catalogue(tmp_path / "c.duckdb", 1000))) as con:
        con.execute("delete from inspection")
        expected = _expected(con)
        assert len(expected) > 1500 and len(set(expected.values())) > 8
        assert dict(con.execute("select spectrum_id, failed_test from spectrum_verdict").fetchall()) == expected
        of_star = dict(con.execute("select spectrum_id, star_id from spectrum").fetchall())
        assert stars(con, "classical_be") == {of_star[one] for one, failed in expected.items() if failed is None}


@pytest.mark.parametrize(
    "bad",
    [
        '--: [95]\n--: quantity = "x"',
        RUWE.replace('side = "below"', 'side = "under"'),
        RUWE.replace('label = "Sound', 'lable = "Sound'),
    ],
)
def test_a_step_that_is_declared_badly_is_named(tmp_path, bad):
    folder = tmp_path / "views"
    shutil.copytree(Path(selection.__file__).with_name("views"), folder)
    (folder / "095_sound_star.sql").write_text(
        bad if "with\n" in bad else f"-- 95 · x\n{bad}\nwith\nfinal as (select 1)\nselect * from final\n"
    )
    with pytest.raises(ValueError, match=r"095_sound_star\.sql"):
        selection.read(folder)


# One value of each star or spectrum, which other views look up.
LOOKED_UP = {"adopted_type", "current_score", "infrared_colour", "inspection_tally", "literature_flag"}


def test_every_list_of_stars_says_which_are_simulated(con):
    columns = {view.name: {row[0] for row in con.execute(f"describe {view.name}").fetchall()} for view in build.VIEWS}
    lists = {name for name, found in columns.items() if found & {"star_id", "spectrum_id", "designation"}} - LOOKED_UP
    assert len(lists) >= 26 and {name for name in lists if "is_simulated" not in columns[name]} == set()


def test_clusters_ask_motion_parallax_and_ruwe(con):
    unknown = {"pm_difference_sigma": None, "parallax_difference_sigma": None}
    good = {"pm_difference_sigma": 1.0, "parallax_difference_sigma": 1.0}
    cases = {1: ("source_id", unknown, 1.0), 2: ("position", unknown, 1.0), 3: ("source_id", good | {"parallax_difference_sigma": 9}, 1.0),
             4: ("position", good, 1.0), 5: ("source_id", good, 1.5)}  # fmt: skip
    for star_id, (method, differences, ruwe) in cases.items():
        add_star(con, star_id)
        add_astrometry(con, star_id, 8.0, ruwe=ruwe)
        insert(con, "cluster_match", star_id=star_id, cluster="NGC 1", catalogue_id="dias_2021", method=method,
               membership_probability=0.9, **differences)  # fmt: skip
    assert con.execute("select star_id, is_motion_known from cluster_member_be order by 1").fetchall() == [
        (1, False),
        (4, True),
    ]


def test_a_parallax_of_one_sigma_makes_no_runaway(con):
    for star_id, error in ((1, 0.2), (2, 0.02), (3, None)):
        add_star(con, star_id)
        add_astrometry(con, star_id, 90.0, parallax_mas=0.2, e_parallax_mas=error)
    assert stars(con, "runaway") == {2, 3}
    con.execute("update selection_parameter set value = 0 where name = 'parallax_over_error_min'")
    assert stars(con, "runaway") == {1, 2, 3}


def test_a_visit_is_a_night_and_a_spectrum_that_can_be_judged(con):
    add_star(con, 1, mjd=58000.9)
    add_spectrum(con, 11, 1, mjd=58001.1)
    add_spectrum(con, 12, 1, mjd=58002.0, snr_r=1)
    con.execute("update spectrum set survey = 'other'")
    assert con.execute("select n_spectra, n_visits from star_visits").fetchall() == [(2, 1)]
    con.execute("update spectrum set survey = 'LAMOST MRS'")
    assert con.execute("select n_spectra, n_visits from star_visits").fetchall() == [(2, 2)]


def test_most_people_give_the_class(con):
    add_star(con, 1)
    for day, (who, name) in enumerate((("ann", "emission"), ("bob", "emission"), ("cy", "absorption")), 1):
        insert(con, "inspection", inspection_id=who, star_id=1, inspector=who, is_be=True, profile_class=name,
               inspected_at=f"2026-01-0{day}")  # fmt: skip
    assert con.execute("select profile_class_by_eye from inspection_tally").fetchall() == [("emission",)]


def test_two_current_models_double_no_row(con):
    add_star(con, 1)
    insert(con, "be_score", spectrum_id=1, model_id="m0", be_probability=0.2)
    con.execute("update model set is_current = true")
    assert con.execute("select spectrum_id, be_probability > 0.9 from current_score").fetchall() == [(1, True)]
    assert stars(con, "classical_be") == {1}
    assert con.execute("select step, stars from funnel where step = 50").fetchall() == [(50, 1)]


def test_no_printed_number_stands_twice_and_copies_are_told(con):
    add_star(con, 1)
    for object_class in ("H II region", "emission-line star", "CBe"):
        con.execute(
            "insert into literature_match (star_id, catalogue_id, object_name, object_class, is_best) values (1, 'hou_2016', ?, ?, true)",
            [object_class, object_class],
        )
    names = [name for (name,) in con.execute("select name from published_number").fetchall()]
    assert len(names) == len(set(names))
    copied = {name for (name,) in con.execute("select name from published_number where is_copied").fetchall()}
    assert "solar_u_km_s" in copied and "runaway_limit_km_s" not in copied


@pytest.mark.parametrize(("name", "value", "told"), [("be_probability_min", 7, "from 0 to 1"), ("snr_min", -1, "0 or more"),
                                                     ("exclude_contaminants", 0.5, "switch")])  # fmt: skip
def test_a_threshold_out_of_its_range_is_refused(con, name, value, told):
    with pytest.raises(BecatError, match=told):
        parameters.change(con, {"ew_halpha_max_a": 5.0, name: value})
    assert con.execute("select count(*) from selection_parameter where value <> default_value").fetchone() == (0,)
    parameters.change(con, {"ew_halpha_max_a": 5.0, "be_probability_min": 0.9})
    assert [threshold.name for threshold in parameters.reset(con, ["be_probability_min"])] == ["be_probability_min"]
    assert [threshold.name for threshold in parameters.reset(con)] == ["ew_halpha_max_a"]


def test_every_threshold_is_shipped_within_its_range():
    assert all(p.range[0] <= p.value <= p.range[1] for p in parameters.load().values())


def test_a_neighbours_type_is_not_adopted_and_forbidden_lines_are_not_normal(con):
    for star_id in (1, 2, 3):
        add_star(con, star_id, spectral_type=None)
    rows = ((1, "B2 Ve", 1990, 0.1), (1, "M0 V", 2014, 2.8), (2, "B[e]", 2000, 0.1), (3, "B5 Herbig Be", 2000, 0.1))
    for star_id, text, year, separation in rows:
        insert(con, "spectral_type", star_id=star_id, catalogue_id="skiff_2014", spectral_type=text, reference="r", year=year,
               separation_arcsec=separation)  # fmt: skip
    parse_table(con)
    assert con.execute("select spectral_type from adopted_type where star_id = 1").fetchall() == [("B2 Ve",)]
    assert stars(con, "new_cbe") == {1}
    assert con.execute("select quantity, result from verdict where star_id = 2").fetchone() == ("normal star", "fail")


def test_the_default_model_has_the_right_pole_and_an_older_catalogue_gets_it(catalogue):
    add_star(catalogue, 1)
    add_astrometry(catalogue, 1, 8.0)
    poles = dict(catalogue.execute("select kinematic_model, pole_ra_deg from kinematic_model").fetchall())
    assert poles["wang_2022"] == 192.85948 and poles["wang_2022_printed_pole"] == 192.95948
    catalogue.execute("update kinematic_model set pole_ra_deg = 192.95948 where kinematic_model = 'wang_2022'")
    build.upgrade(catalogue)
    assert catalogue.execute("select pole_ra_deg from kinematic_model where is_default").fetchall() == [(192.85948,)]
    assert catalogue.execute("select count(*) from kinematics").fetchone() == (0,)


def test_one_strong_line_is_not_hidden_by_five():
    width = np.array([[-1.0, 1.0, np.nan], [0.0, 0.0, np.nan]])
    found = strongest_significance(width, np.full((2, 3), 0.05), 0.0)
    assert found[:2] == pytest.approx([20, -20]) and np.isnan(found[2])


def test_other_distances_are_kinematic_models(catalogue):
    insert(catalogue, "model", model_id="m1", is_current=True)
    for star_id, distance_pc in ((1, 1000.0), (2, None)):
        add_star(catalogue, star_id)
        insert(catalogue, "astrometry", star_id=star_id, ra_deg=30.0, dec_deg=60.0, pmra_mas_yr=-6.0, pmdec_mas_yr=2.0, parallax_mas=0.5,
               e_pmra_mas_yr=0.02, e_pmdec_mas_yr=0.02, e_parallax_mas=0.02, distance_pc=distance_pc, distance_lo_pc=950.0,
               distance_hi_pc=1050.0, ruwe=1.0)  # fmt: skip
    compute_kinematics(catalogue)
    speed = {
        (star, model): v
        for star, model, v in catalogue.execute("select star_id, kinematic_model, v_tp_km_s from kinematics").fetchall()
    }
    model = KinematicModel("x", 11.10, 12.24, 7.25, 8.5, 220.0, 0.0, 20.5)
    place = [np.array([value]) for value in (30.0, 60.0, -6.0, 2.0)]
    for name, parallax in (("wang_2022", 0.5), ("wang_2022_bailer_jones", 1.0), ("wang_2022_zero_point", 0.53)):
        expected = peculiar_velocity(*place, np.array([parallax]), model).v_tp_km_s[0]
        assert speed[1, name] == pytest.approx(expected)
    missing = speed[2, "wang_2022_bailer_jones"]
    assert missing is None or np.isnan(missing)
    models = {name for (name,) in catalogue.execute("select kinematic_model from kinematic_dependence").fetchall()}
    assert {"wang_2022", "wang_2022_bailer_jones", "wang_2022_zero_point"} <= models
