"""Simulated files against the real ones: structure, bytes, readers of astropy, catalogues and truth."""

from __future__ import annotations

import hashlib
import warnings

import duckdb
import numpy as np
import pandas as pd
import pytest
from astropy.coordinates import SkyCoord
from astropy.io import fits

from becat.etl.lamost.release_rows import gather_files
from becat.schema.lines import LINES, vacuum_to_air
from becat.simulate.places import draw_apart, star_of_place
from becat.simulate.spectra import GRIDS, draw_stars, expose, render_stars, shape_of_counts
from becat.simulate.survey import FIRST_OBSID, designations, write_survey

REAL = {
    "mrs_rows": "mrs/med-58649-TD193637N444141K01_sp10-159.fits.gz",
    "mrs_vector": "mrs/med-58440-NT222300N571704C01_sp11-073.fits",
    "lrs_old": "lrs/bt-cmi-lamost.fits",
    "lrs_image": "lrs/spec-55862-B6202_sp01-001.fits.gz",
    "lrs_table": "lrs/spec-60591-LN042429N340750BM01_sp01-001.fits.gz",
}
PRINTED = [
    {
        "designation": "J000025.64+623946.1",
        "ra_deg": 0.1068,
        "dec_deg": 62.6628,
        "kind": "shell_emission",
        "n_epochs": 2,
    }
]


@pytest.fixture(scope="module")
def survey(tmp_path_factory):
    """A survey in which every layout appears and every file of the medium-resolution survey holds its exposures."""
    from becat.simulate.draw import distributions

    folder = tmp_path_factory.mktemp("a survey é")
    table = distributions()["survey"]
    kept = table["layouts"], table["singles_fraction"]
    table["layouts"], table["singles_fraction"] = dict.fromkeys(table["layouts"], 1.0), 1.0
    try:
        truth = write_survey(folder, n=60, seed=11, stars=PRINTED)
    finally:
        table["layouts"], table["singles_fraction"] = kept
    return folder, truth


def _open(path, strict=True):
    """Headers and data of a file; ours must pass astropy's verification, some real ones do not."""
    with warnings.catch_warnings():
        warnings.simplefilter("error" if strict else "ignore")
        with fits.open(path) as hdus:
            if strict:
                hdus.verify("exception")
            return [(hdu.header.copy(), None if hdu.data is None else hdu.data.copy()) for hdu in hdus]


@pytest.mark.parametrize("layout", list(REAL))
def test_files_are_built_like_the_real_ones(survey, real_data, layout):
    folder, truth = survey
    mine = _open(folder / "spectra" / truth[truth.layout == layout].file.iloc[0])
    real = _open(real_data / REAL[layout], strict=False)
    extra = {"SIMULAT"}
    absent = {"EXPID01", "EXPID02", "EXPID03", "EXPID04", "NAXIS1", "NAXIS2", ""}
    assert set(mine[0][0]) - extra - absent == set(real[0][0]) - absent
    assert mine[0][0]["SIMULAT"] is True
    for keyword in set(mine[0][0]) - {"COMMENT"} - extra - absent:
        a, b = mine[0][0][keyword], real[0][0][keyword]
        numbers = isinstance(a, int | float) and isinstance(b, int | float)
        assert numbers or type(a) is type(b), keyword
    if real[0][1] is not None:
        assert mine[0][1].shape[0] == real[0][1].shape[0] == 5
        assert mine[0][1].dtype == real[0][1].dtype
    bare = lambda name: name.split("-")[0]  # noqa: E731  B-84454650 -> B
    assert {bare(header["EXTNAME"]) for header, _ in mine[1:]} == {bare(header["EXTNAME"]) for header, _ in real[1:]}
    for name in {bare(header["EXTNAME"]) for header, _ in real[1:]}:
        (my_header, my_data), (its_header, its_data) = (
            next((h, d) for h, d in hdus[1:] if bare(h["EXTNAME"]) == name) for hdus in (mine, real)
        )
        assert my_data.names == its_data.names
        assert [form.lstrip("0123456789") for form in my_data.columns.formats] == [
            form.lstrip("0123456789") for form in its_data.columns.formats
        ]
        assert (len(my_data) == 1) == (len(its_data) == 1)
        lists = {"LMJMLIS1"}  # only where there are more than three exposures
        assert set(its_header) - set(my_header) - lists <= {"COMMENT", "TNULL1", ""}


def test_single_red_exposures_run_from_red_to_blue(survey):
    folder, truth = survey
    rows = truth[(truth.layout == "mrs_rows") & truth.has_singles]
    hdus = _open(folder / "spectra" / rows.file.iloc[0])
    for header, data in hdus[1:]:
        step = np.diff(data["LOGLAM"].astype(float))
        assert (step < 0).all() if header["EXTNAME"].startswith("R-") else (step > 0).all()


def test_minutes_nights_and_names_agree(survey):
    folder, truth = survey
    for spectrum in truth[truth.layout.isin(REAL)].itertuples():
        hdus = _open(folder / "spectra" / spectrum.file)
        header = hdus[0][0]
        assert header["FILENAME"] == spectrum.file.removesuffix(".gz")
        assert header["DESIG"] == f"LAMOST {spectrum.designation}"
        assert header.get("OBSID", spectrum.obsid) == spectrum.obsid > FIRST_OBSID
        assert header["MJD"] == int(spectrum.mjd)
        local = pd.Timestamp(header["DATE-BEG"])
        assert (pd.Timestamp(header["DATE-OBS"]) - local).total_seconds() == pytest.approx(
            -8 * 3600 + header.get("EXPTIME", 0) / 2, abs=8 * 3600 if "EXPTIME" not in header else 2
        )
        minute = (local - pd.Timestamp("1858-11-17")).total_seconds() // 60
        names = [h["EXTNAME"] for h, _ in hdus[1:] if h["EXTNAME"][:2] in ("B-", "R-")]
        if names:
            assert min(int(name[2:]) for name in names) == minute


def test_designation_is_cut_as_lamost_cuts_it(real_data):
    for path in [*sorted((real_data / "mrs").iterdir()), *sorted((real_data / "lrs").glob("*.gz"))]:
        header = fits.getheader(path)
        if header.get("RA_OBS") == header.get("RA") and "DESIG" in header and header["OFFSET"] is False:
            made = designations(np.array([header["RA"]]), np.array([header["DEC"]]))[0]
            name = header["DESIG"].removeprefix("LAMOST ")
            # RA and DEC are printed to 1e-6 degrees: the last digit may differ by one.
            assert made[:9] == name[:9] and abs(float(made[5:10]) - float(name[5:10])) < 0.011


def test_forced_stars_catalogues_and_truth(survey):
    folder, truth = survey
    forced = truth[truth.designation == PRINTED[0]["designation"]]
    assert len(forced) == 2 and forced.mjd.nunique() == 2 and set(forced.kind) == {"shell_emission"}
    assert np.ptp(forced.teff_k) == 0
    assert len(truth) == 62 and truth.obsid.is_unique and truth.file.is_unique
    assert {path.name for path in (folder / "spectra").iterdir()} == set(truth.file)
    general = pd.read_csv(folder / "mrs_general_catalogue.csv", sep="|")
    mrs = truth[truth.layout.str.startswith("mrs")]
    assert set(general.obsid) == set(mrs.obsid) and (general.groupby("obsid").band.nunique() == 2).all()
    parameters = pd.read_csv(folder / "mrs_stellar_parameter_catalogue.csv", sep="|")
    joined = parameters.merge(truth, on="obsid")
    assert joined.teff_k.between(3100, 8500).all() and (joined.label == 0).all()
    with duckdb.connect() as connection:  # from the catalogues a plan names the files that there are
        paths = [folder / f"mrs_{kind}_catalogue.csv" for kind in ("general", "stellar_parameter")]
        gather_files(connection, paths, "mrs", "all", "planned")
        planned = connection.execute("select distinct parse_filename(file) from planned").fetchall()
        assert {name for (name,) in planned} == set(mrs.file)
    assert np.abs(joined.teff_lasp - joined.teff_k).median() < 100
    pd.testing.assert_frame_equal(
        pd.read_csv(folder / "truth.csv")[["file", "kind", "label"]],
        truth[["file", "kind", "label"]],
        check_dtype=False,
    )


def test_the_same_seed_writes_the_same_bytes(tmp_path):
    def digest(folder):
        write_survey(folder, n=24, seed=5, stars=PRINTED)
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}

    first = digest(tmp_path / "one")
    assert first == digest(tmp_path / "two") and len(first) > 20


def test_entries_at_one_place_are_one_star_seen_on_several_nights(tmp_path):
    entries = [
        {"designation": "J011623.65+590507.3", "ra_deg": 19.0985417, "dec_deg": 59.0853611, "kind": "shell_emission"},
        {"designation": "J011623.65+590509.8", "ra_deg": 19.0985417, "dec_deg": 59.0860556, "kind": "emission"},
        {"designation": "J011623.65+590507.4", "ra_deg": 19.0985417, "dec_deg": 59.0853889, "kind": "emission"},
    ]  # the second lies 2.5 arcsec north of the first
    truth = write_survey(tmp_path, n=3, seed=5, stars=entries).set_index("designation")
    first, other, again = (truth.loc[entry["designation"]] for entry in entries)
    for name in ("star", "kind", "ew_emission_a", "rv_km_s", "v_sin_i_km_s", "teff_k", "inclination_deg"):
        assert first[name] == again[name] != other[name]
    assert abs(first.mjd - again.mjd) > 0.5 and first.obsid != again.obsid


def test_a_star_is_the_same_whenever_it_is_exposed_and_beside_whichever_others():
    rng = np.random.default_rng(6)
    stars = draw_stars(np.array(["emission_clear", "absorption", "shell_emission", "emission_clear"]), rng)
    stars.seed = np.array([3, 1, 4, 15])
    one = np.ones(2)
    first, again = stars.take(np.array([3, 2]), one), stars.take(np.array([0, 3]), one)
    grid = GRIDS["red"]
    (_, feature, bare), (_, feature_again, bare_again) = (render_stars(seen, grid, rng) for seen in (first, again))
    assert (bare[0] == bare_again[1]).all() and (feature[0] == feature_again[1]).all() and feature[0].max() > 0.1
    response, response_again = (
        shape_of_counts(seen, grid, "red", seen.own_draws(slice(None), grid) or rng) for seen in (first, again)
    )
    assert (response[0] == response_again[1]).all() and (response[1] != response_again[0]).any()


def test_a_chain_of_places_is_one_star_across_zero_hours_and_at_the_pole():
    ra_deg = np.array([359.9998, 40.0, 0.0002, 0.0006, 120.0, 300.0, 40.0])
    dec_deg = np.array([0.0, 20.0, 0.0, 0.0, 89.9998, 89.9998, 20.0004])
    assert star_of_place(ra_deg, dec_deg, 1.5).tolist() == [0, 1, 0, 0, 2, 2, 1]
    assert star_of_place(ra_deg, dec_deg, 1.43).tolist() == list(range(7))
    assert star_of_place(np.empty(0), np.empty(0)).tolist() == []


def test_drawn_positions_are_apart_from_each_other_and_from_those_taken():
    rng = np.random.default_rng(5)
    taken = np.array([10.0, 10.05]), np.array([30.0, 30.05])

    def draw_crowded(rows):
        return rng.uniform(10, 10.1, len(rows)), rng.uniform(30, 30.1, len(rows))

    places = SkyCoord(*draw_apart(draw_crowded, 40, taken), unit="deg")
    _, nearest, _ = places.match_to_catalog_sky(places, nthneighbor=2)
    _, nearest_taken, _ = places.match_to_catalog_sky(SkyCoord(*taken, unit="deg"))
    assert len(places) == 40 and nearest.arcsec.min() > 20 and nearest_taken.arcsec.min() > 20
    crowded = SkyCoord(*draw_crowded(np.arange(40)), unit="deg")
    assert crowded.match_to_catalog_sky(crowded, nthneighbor=2)[1].arcsec.min() < 20


def test_unknown_kind_of_a_forced_star_is_refused(tmp_path):
    with pytest.raises(ValueError, match="unknown kinds"):
        write_survey(tmp_path, n=5, stars=[{"designation": "J", "ra_deg": 1.0, "dec_deg": 1.0, "kind": "planet"}])


def test_header_snr_and_noise_are_what_was_asked_for():
    rng = np.random.default_rng(2)
    seen = expose(draw_stars(np.full(80, "weak"), rng), np.full(80, 60.0), rng)
    red = seen.coadd["red"]
    assert np.median(red.snr) == pytest.approx(60, rel=0.05)
    good = (red.ivar[:, 1:] > 0) & (red.ivar[:, :-1] > 0)
    step = np.diff(red.flux, axis=1) / np.sqrt(
        1 / np.maximum(red.ivar[:, 1:], 1e-9) + 1 / np.maximum(red.ivar[:, :-1], 1e-9)
    )
    spread = np.percentile(step[good], [15.87, 84.13]) @ [-0.5, 0.5]
    assert spread == pytest.approx(1, abs=0.03)


def test_exposures_combine_to_the_coadd():
    rng = np.random.default_rng(3)
    stars = draw_stars(np.full(20, "absorption"), rng)
    seen = expose(stars, np.full(20, 80.0), rng, n_singles=3)
    single = np.median([exposure["red"].snr for exposure in seen.singles])
    assert single == pytest.approx(80 / np.sqrt(3), rel=0.08)
    assert np.median(seen.coadd["red"].snr) == pytest.approx(80, rel=0.3)  # per pixel of another width


def test_magnesium_grows_towards_late_types():
    """The cut of Wang et al. 2022, EW(Mg b) < 1.2 Angstrom, keeps hot stars and drops G and K ones."""
    rng = np.random.default_rng(4)
    stars = draw_stars(np.repeat(["late", "absorption"], 60), rng)
    seen = expose(stars, np.full(120, 250.0), rng)
    blue = seen.coadd["blue"]
    wave = blue.wavelength_a
    side = [np.median(blue.flux[:, (wave > low) & (wave < low + 6)], axis=1) for low in (5153.0, 5194.5)]
    band = (wave > 5160) & (wave < 5193)
    line = side[0][:, None] + (side[1] - side[0])[:, None] * (wave[band] - 5156) / (5197.5 - 5156)
    width = np.sum((1 - blue.flux[:, band] / line) * np.gradient(wave)[band], axis=1)
    teff = seen.truth["teff_k"]
    assert np.median(width[teff < 5500]) > 2 > 1.2 > np.median(width[teff > 9000])


def test_image_is_in_air(survey):
    folder, truth = survey
    chosen = truth[truth.layout == "image"]
    nebular = chosen[chosen.kind.isin(["absorption", "absorption_core", "late"]) & (chosen.snr_r > 20)]
    (header, flux), *_ = _open(folder / "spectra" / nebular.file.iloc[0])
    wave = header["CRVAL1"] + header["CDELT1"] * np.arange(len(flux))
    expected = vacuum_to_air(LINES["halpha"].wavelength_a) * (1 + nebular.rv_km_s.iloc[0] / 299792.458)
    near = np.abs(wave - expected) < 12
    depth = np.median(flux[near]) * 1.02 - flux[near]
    depth = np.clip(depth, 0, None) ** 2
    assert np.sum(depth * wave[near]) / depth.sum() == pytest.approx(expected, abs=0.9)
