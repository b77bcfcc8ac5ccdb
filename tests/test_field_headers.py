"""Headers, layouts, epochs and positions as other programs write them: each fault in a small made file, then the real ones."""

from __future__ import annotations

import bz2
import io
import json
import lzma
import zipfile

import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import FK4, FK5, SkyCoord
from astropy.io import fits
from astropy.time import Time
from specutils.utils.wcs_utils import air_to_vac

from becat.etl.catalogue.errors import Rejected
from becat.etl.load.discover import find_spectra
from becat.etl.readers import read_file
from becat.etl.readers.mid_exposure import _light_time_d
from becat.publish.vo.spectra import as_fits
from becat.schema.quality import Quality

START_A, STEP_A, N = 6400.0, 0.25, 1200
GRID_A = START_A + STEP_A * np.arange(N)
FLUX = (1 + 2 * np.exp(-0.5 * ((GRID_A - 6562.8) / 4) ** 2) + 0.01 * np.random.default_rng(3).normal(size=N)).astype(
    "f4"
)
MINUTE_D = 1 / 1440
REMOVE = object()


def image(path, flux=FLUX, **cards):
    """A linear image in air with its cards; a card REMOVE is left out, a pair is value and comment."""
    hdu = fits.PrimaryHDU(flux)
    plain = {"CRVAL1": START_A, "CDELT1": STEP_A, "CRPIX1": 1.0, "CUNIT1": "Angstrom", "OBJECT": "gam Cas"}
    for key, value in {**plain, **{k.replace("_", "-") if k in HYPHENS else k: v for k, v in cards.items()}}.items():
        if value is not REMOVE:
            hdu.header[key] = value
    hdu.writeto(path, output_verify="ignore")
    return path


HYPHENS = {"DATE_OBS", "DATE_END", "TIME_OBS", "JD_MID", "JD_OBS", "MID_HJD", "MJD_OBS", "DC_FLAG"}


def only(path):
    spectra, rejected = read_file(path)
    assert rejected == []
    (spectrum,) = spectra
    return spectrum


def is_the_spectrum(spectrum, air=True):
    red = spectrum.arms["red"]
    expected_a = air_to_vac(GRID_A * u.AA, scheme="iteration", method="Morton2000").value if air else GRID_A
    assert red.wavelength_a == pytest.approx(expected_a, abs=2e-3)
    assert red.flux == pytest.approx(FLUX, abs=1e-4)


# ------------------------------------------------------------------------------------------------ dispersion and units
STEPS = {
    "CDELT1 left at 1": {"CDELT1": 1.0, "CD1_1": STEP_A},
    "CD1_1 left at 1": {"CD1_1": 1.0},
    "CD1_1 alone": {"CDELT1": REMOVE, "CD1_1": STEP_A},
    "both": {"CD1_1": STEP_A},
    "PC1_1": {"CDELT1": STEP_A / 2, "PC1_1": 2.0},
}


@pytest.mark.parametrize("cards", STEPS.values(), ids=STEPS)
def test_the_step_that_is_no_default_counts(tmp_path, cards):
    is_the_spectrum(only(image(tmp_path / "a.fits", **cards)))


@pytest.mark.parametrize(
    ("cards", "reason"),
    [
        ({"CD1_1": 0.3}, "CDELT1 is 0.25 and CD1_1 is 0.3"),
        ({"CDELT1": REMOVE}, "no CRVAL1 and CDELT1"),
        ({"CDELT1": 0.0}, "no CRVAL1 and CDELT1"),
        ({"CTYPE1": "VELO-LSR"}, "not one of wavelengths"),
        ({"CUNIT1": "km/s"}, "unit of the wavelengths is 'km/s'"),
        ({"CUNIT1": "cm-1"}, "unit of the wavelengths is 'cm-1'"),
        ({"CUNIT1": "furlong"}, "unit of the wavelengths is 'furlong'"),
    ],
)
def test_a_dispersion_that_cannot_be_known_is_rejected(tmp_path, cards, reason):
    with pytest.raises(Rejected, match=reason):
        read_file(image(tmp_path / "a.fits", **cards))


UNITS = {"10**-1 nm": 1, "0.1 nm": 1, "1e-10 m": 1, "10**(-1) nm": 1, "Ang.": 1, "Angstroem": 1, "ANGSTROMS": 1, "AA": 1, "nm": 0.1,
         "nanometers": 0.1, "um": 1e-4, "micrometers": 1e-4, "m": 1e-10, "mm": 1e-7}  # fmt: skip


@pytest.mark.parametrize("unit", UNITS)
def test_every_spelling_of_a_unit_of_length(tmp_path, unit):
    cards = {"CUNIT1": unit, "CRVAL1": START_A * UNITS[unit], "CDELT1": STEP_A * UNITS[unit]}
    is_the_spectrum(only(image(tmp_path / "a.fits", **cards)))


def test_units_of_iraf_and_logarithms(tmp_path):
    nanometres = {
        "CUNIT1": REMOVE,
        "CRVAL1": START_A / 10,
        "CDELT1": STEP_A / 10,
        "WAT1_001": "wtype=linear units=nanometers",
    }
    is_the_spectrum(only(image(tmp_path / "a.fits", **nanometres)))
    step = np.log10(GRID_A[-1] / GRID_A[0]) / (N - 1)
    for i, cards in enumerate(
        ({"DC_FLAG": 1}, {"WFITTYPE": "LOG-LINEAR", "CTYPE1": "LINEAR"}, {"CUNIT1": "log(Angstrom)"})
    ):
        unit = {"CUNIT1": REMOVE} if "CUNIT1" not in cards else {}
        spectrum = only(image(tmp_path / f"{i}.fits", CRVAL1=np.log10(START_A), CDELT1=step, **unit, **cards))
        expected_a = air_to_vac(
            10 ** (np.log10(START_A) + step * np.arange(N)) * u.AA, scheme="iteration", method="Morton2000"
        )
        assert spectrum.arms["red"].wavelength_a == pytest.approx(expected_a.value, abs=2e-3)


@pytest.mark.parametrize(("ucd", "air"), [("em.wl", False), ("em.wl;obs.atmos", True), ("", True)])
def test_a_ucd_says_air_or_vacuum(tmp_path, ucd, air):
    columns = [fits.Column("WAVE", f"{N}D", unit="nm", array=[GRID_A / 10]), fits.Column("FLUX", f"{N}E", array=[FLUX])]
    table = fits.BinTableHDU.from_columns(columns)
    if ucd:
        table.header["TUCD1"] = ucd
    table.writeto(tmp_path / "a.fits")
    is_the_spectrum(only(tmp_path / "a.fits"), air)


def test_what_becat_publishes_it_reads(tmp_path):
    wavelength_a = 6530 + 0.125 * np.arange(481)
    flux = 1 + np.exp(-0.5 * ((wavelength_a - 6564.6) / 4) ** 2) + 0.01 * np.random.default_rng(0).normal(size=481)
    profile = {"start_a": 6530.0, "step_a": 0.125, "flux": json.dumps(flux.tolist()), "designation": "x", "survey": "LAMOST MRS",
               "mjd": 58000.5, "exposure_time_s": 600.0, "ra_deg": 10.0, "dec_deg": 20.0, "spectrum_id": 5, "is_simulated": False,
               "snr_r": 50.0, "resolving_power": 7500.0}  # fmt: skip
    (tmp_path / "a.fits").write_bytes(as_fits(profile))
    spectrum = only(tmp_path / "a.fits")
    assert spectrum.arms["red"].wavelength_a == pytest.approx(wavelength_a, abs=1e-6)  # vacuum, by its UCD
    assert (spectrum.meta["mjd"], spectrum.meta["ra_deg"], spectrum.meta["dec_deg"]) == (58000.5, 10.0, 20.0)


def test_a_remark_says_vacuum(tmp_path):
    path = image(tmp_path / "a.fits")
    with fits.open(path, mode="update") as hdus:
        hdus[0].header["HISTORY"] = "All wavelengths are in vacuum"
    is_the_spectrum(only(path), air=False)


# ----------------------------------------------------------------------------------------------------- orders and bands
def multispec(*specs):
    text = "wtype=multispec " + " ".join(f'spec{i + 1} = "{spec}"' for i, spec in enumerate(specs))
    cards = {f"WAT2_{i + 1:03d}": text[68 * i : 68 * i + 68] for i in range(-(-len(text) // 68))}
    nothing = {"CRVAL1": REMOVE, "CDELT1": 1.0, "CRPIX1": REMOVE, "CUNIT1": REMOVE}
    return {**nothing, "CTYPE1": "MULTISPE", "WAT0_001": "system=multispec", "WAT1_001": "units=angstroms", **cards}


BLUE = f"1 80 0 5000. 0.25 {N} 0. 1. 2."
RED = f"2 81 0 {START_A} {STEP_A} {N} 0. 3. 4."


def test_multispec_gives_the_order_that_holds_halpha(tmp_path):
    rows = np.stack([np.ones(N, "f4"), FLUX, np.zeros(N, "f4")])
    cards = multispec(BLUE, RED, f"3 82 0 7000. 0.25 {N} 0. 5. 6.")
    is_the_spectrum(only(image(tmp_path / "a.fits", rows, **cards)))
    shifted = multispec(BLUE, f"2 81 0 {START_A * 1.001} {STEP_A * 1.001} {N} 0.001 3. 4.")
    is_the_spectrum(only(image(tmp_path / "z.fits", rows[:2], **shifted)))


def test_logarithmic_multispec(tmp_path):
    step = np.log10(GRID_A[-1] / GRID_A[0]) / (N - 1)
    spectrum = only(image(tmp_path / "a.fits", **multispec(f"1 1 1 {np.log10(START_A):.12f} {step:.16f} {N} 0. 1. 2.")))
    assert spectrum.arms["red"].wavelength_a[0] == pytest.approx(
        air_to_vac(START_A * u.AA, scheme="iteration").value, abs=0.01
    )
    assert spectrum.arms["red"].wavelength_a[-1] == pytest.approx(
        air_to_vac(GRID_A[-1] * u.AA, scheme="iteration").value, abs=0.01
    )


def test_a_polynomial_dispersion_and_foreign_orders_are_refused_in_words(tmp_path):
    chebyshev = multispec(f"1 1 2 6400. 0.25 {N} 0. 1. 2. 1. 0. 1 2 1. {N} 6550. 150.")
    with pytest.raises(Rejected, match="Chebyshev polynomial of IRAF's multispec"):
        read_file(image(tmp_path / "a.fits", **chebyshev))
    with pytest.raises(Rejected, match=r"H-alpha at 6564.6 A is not in it \(and so for 1 more"):
        read_file(image(tmp_path / "b.fits", np.ones((2, N), "f4"), **multispec(BLUE, BLUE)))
    with pytest.raises(Rejected, match="not a known dispersion"):
        read_file(image(tmp_path / "c.fits", **multispec("1 1 zero")))


def test_four_bands_of_iraf(tmp_path):
    bands = np.stack([FLUX, FLUX * 0, FLUX * 0 + 0.5, np.full(N, 0.02, "f4")])[:, None, :]
    cards = {
        "CDELT1": REMOVE,
        "CD1_1": STEP_A,
        "BANDID1": "spectrum - background fit",
        "BANDID4": "sigma - background fit",
    }
    spectrum = only(image(tmp_path / "a.fits", bands, **cards))
    is_the_spectrum(spectrum)
    assert spectrum.arms["red"].ivar == pytest.approx(np.full(N, 2500.0))


NO_SCALE = {"CRVAL1": REMOVE, "CDELT1": REMOVE, "CRPIX1": REMOVE, "CUNIT1": REMOVE}
ERROR = np.full(N, 0.02)
LINES = {
    "wavelength and flux": ([GRID_A, FLUX], {}),
    "flux and wavelength": ([FLUX, GRID_A], {}),
    "columns": (np.stack([GRID_A, FLUX]).T, {}),
    "nanometres": ([GRID_A / 10, FLUX], {}),
    "from red to blue": ([GRID_A[::-1], FLUX[::-1]], {}),
    "pixel numbers": ([GRID_A, FLUX], {"CRVAL1": 1.0, "CDELT1": 1.0, "CRPIX1": 1.0}),
    "errors named": ([GRID_A, FLUX, ERROR], {"ROW1": "wavelength", "ROW2": "flux", "ROW3": "error of the flux"}),
    "error named": ([GRID_A, ERROR, FLUX], {"ARRAY2": "SIGMA"}),
}


@pytest.mark.parametrize("case", LINES)
def test_lines_of_wavelength_and_flux(tmp_path, case):
    lines, cards = LINES[case]
    spectrum = only(image(tmp_path / "a.fits", np.array(lines), **{**NO_SCALE, **cards}))
    is_the_spectrum(spectrum)
    assert spectrum.meta["layout"] == "image of wavelength and flux"
    if len(lines) == 3:
        assert spectrum.arms["red"].ivar == pytest.approx(np.full(N, 2500.0))


def test_rows_on_one_scale_are_read_where_the_header_names_them(tmp_path):
    rows = np.array([ERROR, FLUX])
    spectrum = only(image(tmp_path / "a.fits", rows, ROW1="stddev", ROW2="spectrum"))
    is_the_spectrum(spectrum)
    assert spectrum.arms["red"].ivar == pytest.approx(np.full(N, 2500.0))
    with pytest.raises(Rejected, match="2 rows on one scale"):
        read_file(image(tmp_path / "b.fits", rows))
    with pytest.raises(Rejected, match="2 rows on one scale"):
        read_file(image(tmp_path / "c.fits", rows, ROW1="flux", ROW2="flux of the sky"))


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ([FLUX, FLUX], "of the 2 lines of the image none can be wavelengths"),
        ([GRID_A, GRID_A / 10], "of the 2 lines of the image 2 can be wavelengths"),
        ([GRID_A, FLUX, ERROR], "the image has 3 lines, and the header does not say which is the flux"),
        ([GRID_A + 500, FLUX], "of the 2 lines of the image none can be"),
    ],
)
def test_lines_that_nothing_tells_apart_are_refused_in_words(tmp_path, lines, words):
    with pytest.raises(Rejected, match=words):
        read_file(image(tmp_path / "a.fits", np.array(lines), **NO_SCALE))


def test_one_order_an_hdu(tmp_path):
    def order(start_a, flux):
        hdu = fits.ImageHDU(flux)
        hdu.header.update(CRVAL1=start_a, CDELT1=STEP_A, CRPIX1=1.0, CUNIT1="Angstrom")
        return hdu

    orders = [order(5200.0, FLUX * 0 + 1), order(START_A, FLUX), order(START_A - 140, FLUX * 0)]
    fits.HDUList([fits.PrimaryHDU(), *orders]).writeto(tmp_path / "a.fits")
    is_the_spectrum(only(tmp_path / "a.fits"))
    fits.HDUList([fits.PrimaryHDU(), orders[0], orders[0].copy()]).writeto(tmp_path / "b.fits")
    with pytest.raises(Rejected, match=r"H-alpha at 6564.6 A is not in it \(and so for 1 more"):
        read_file(tmp_path / "b.fits")


def test_a_table_with_an_order_a_row(tmp_path):
    columns = [
        fits.Column("WAVELENGTH", f"{N}D", unit="Angstrom", array=np.stack([GRID_A - 1000, GRID_A])),
        fits.Column("FLUX", f"{N}E", array=np.stack([FLUX * 0 + 1, FLUX])),
    ]
    fits.BinTableHDU.from_columns(columns).writeto(tmp_path / "a.fits")
    is_the_spectrum(only(tmp_path / "a.fits"))


def test_a_spectrum_into_the_infrared_is_cut_to_the_optical(tmp_path):
    beyond_a = np.arange(GRID_A[-1] + 50, 300_000, 50)
    columns = [
        fits.Column(
            "WAVELENGTH", "D", unit="ANGSTROMS", array=np.concatenate([np.arange(950.0, 6000, 5), GRID_A, beyond_a])
        ),
        fits.Column("FLUX", "E", array=np.concatenate([np.ones(1010, "f4"), FLUX, np.ones(beyond_a.size, "f4")])),
    ]
    fits.BinTableHDU.from_columns(columns).writeto(tmp_path / "a.fits")
    (spectrum,), left_out = read_file(tmp_path / "a.fits")
    is_the_spectrum(spectrum)
    assert "the blue arm was left out" in left_out[0].reason
    assert spectrum.quality & Quality.NO_BLUE_ARM


# ------------------------------------------------------------------------------------------------------------- epochs
MIDDLE = Time("2020-01-05T20:05:00").mjd
EPOCHS = {
    "UT": ({"DATE_OBS": "2020-01-05", "UT": "20:00:00", "EXPTIME": 600.0}, MIDDLE),
    "TIME-OBS": ({"DATE_OBS": "2020-01-05", "TIME_OBS": "20:00:00.0", "EXPTIME": 600.0}, MIDDLE),
    "midnight with UT": ({"DATE_OBS": "2020-01-05T00:00:00", "UT": "20:00:00", "EXPTIME": 600.0}, MIDDLE),
    "UT in hours": ({"DATE_OBS": "2020-01-05", "UT": 20.0, "EXPTIME": 600.0}, MIDDLE),
    "TM_START in seconds": ({"DATE_OBS": "2020-01-05", "TM_START": (72000, "seconds of day"), "EXPTIME": 600.0}, MIDDLE),
    "JD": ({"DATE_OBS": "2020-01-05", "JD": MIDDLE + 2400000.5, "EXPTIME": 600.0}, MIDDLE),
    "JD alone": ({"JD": MIDDLE + 2400000.5}, MIDDLE),
    "JD of the start": ({"JD": (MIDDLE - 5 * MINUTE_D + 2400000.5, "start of exposure"), "EXPTIME": 600.0}, MIDDLE),
    "JD-OBS": ({"JD_OBS": "2458854.3333", "EXPTIME": 600.0}, MIDDLE),
    "MJD-OBS": ({"MJD_OBS": MIDDLE - 5 * MINUTE_D, "EXPTIME": 600.0}, MIDDLE),
    "DATE-END": ({"DATE_OBS": "2020-01-05T20:00:00", "DATE_END": "2020-01-05T20:10:00"}, MIDDLE),
    "underscores": ({"DATE_OBS": "2020-01-05T20_00_00", "EXPTIME": 600.0}, MIDDLE),
    "trailing UT": ({"DATE_OBS": "2020-01-05T20:00:00 UT", "EXPTIME": 600.0}, MIDDLE),
    "trailing Z": ({"DATE_OBS": "2020-01-05 20:00:00Z", "EXPTIME": 600.0}, MIDDLE),
    "an offset": ({"DATE_OBS": "2020-01-05T22:00:00+02:00", "EXPTIME": 600.0}, MIDDLE),
    "an offset to the west": ({"DATE_OBS": "2020-01-05T15:30:00-04:30", "EXPTIME": 600.0}, MIDDLE),
    "no seconds": ({"DATE_OBS": "2020-01-05T20:00", "EXPTIME": 600.0}, MIDDLE),
    "decimal day": ({"DATE_OBS": "2020-01-05.83333", "EXPTIME": 600.0}, MIDDLE),
    "dd/mm/yy": ({"DATE_OBS": "05/01/98", "UT": "20:00:00", "EXPTIME": 600.0}, Time("1998-01-05T20:05:00").mjd),
    "dd/mm/yyyy": ({"DATE_OBS": "05/01/2020", "UT": "20:00:00", "EXPTIME": 600.0}, MIDDLE),
    "exposure with its unit": ({"DATE_OBS": "2020-01-05T20:00:00", "EXPTIME": "600 s"}, MIDDLE),
    "exposure in minutes": ({"DATE_OBS": "2020-01-05T20:00:00", "EXPTIME": "10 min"}, MIDDLE),
    "a coarse middle": ({"DATE_OBS": "2020-01-05T20:00:00", "EXPTIME": 600.0, "TMID": 58853.84}, MIDDLE),
    "over midnight": ({"DATE_OBS": "2020-01-05", "UT": "23:50:00", "UTMIDDLE": "00:20:00", "EXPTIME": 3600.0}, Time("2020-01-06T00:20:00").mjd),
}  # fmt: skip


@pytest.mark.parametrize("case", EPOCHS)
def test_epochs_to_a_minute(tmp_path, case):
    cards, expected = EPOCHS[case]
    spectrum = only(image(tmp_path / "a.fits", **cards))
    assert abs(spectrum.meta["mjd"] - expected) < MINUTE_D
    assert not spectrum.quality & Quality.EPOCH_DOUBTFUL


NO_EPOCHS = {
    "JD of another hour": ({"DATE_OBS": "2020-01-05T20:00:00", "EXPTIME": 600.0, "JD_MID": 2458854.45}, True),
    "JD of another day": ({"DATE_OBS": "2020-01-05", "UT": "20:00:00", "JD": 2458855.3368}, True),
    "two times of day": ({"DATE_OBS": "2020-01-05T20:00:00", "UT": "14:00:00"}, True),
    "a date only": ({"DATE_OBS": "2020-01-05", "EXPTIME": 600.0}, True),
    "a date of an unknown century": ({"DATE_OBS": "05/01/20", "UT": "20:00:00"}, True),
    "words": ({"DATE_OBS": "1994, 28 March - 04 April"}, True),
    "a date that is none": ({"DATE_OBS": "2020-13-45T20:00:00"}, True),
    "nothing": ({"JD_OBS": 0, "JD_MID": 0, "DATE_OBS": ""}, False),
}


@pytest.mark.parametrize("case", NO_EPOCHS)
def test_no_epoch_and_a_flag_where_the_header_cannot_be_believed(tmp_path, case):
    cards, flagged = NO_EPOCHS[case]
    spectrum = only(image(tmp_path / "a.fits", **cards))
    assert spectrum.meta["mjd"] is None
    assert bool(spectrum.quality & Quality.EPOCH_DOUBTFUL) is flagged


def test_the_heliocentric_date_of_a_real_header_is_the_other_s(real_data):
    header = fits.getheader(real_data / "field/halpha/oe270005.fits")
    light_time_d = _light_time_d(header["JD"] - 2400000.5, 329.325833, 61.294361)
    assert light_time_d * 86400 == pytest.approx((header["HJD"] - header["JD"]) * 86400, abs=5)


def test_a_heliocentric_date_is_brought_to_the_earth(tmp_path):
    spectrum = only(image(tmp_path / "a.fits", MID_HJD=MIDDLE + 2400000.5, RA=14.177, DEC=60.7167))
    assert spectrum.meta["mjd"] == pytest.approx(MIDDLE - _light_time_d(MIDDLE, 14.177, 60.7167), abs=MINUTE_D / 60)
    assert abs(only(image(tmp_path / "b.fits", MID_HJD=MIDDLE + 2400000.5)).meta["mjd"] - MIDDLE) < 9 * MINUTE_D


# ---------------------------------------------------------------------------------------------------------- positions
GAMMA_CAS = SkyCoord(14.177, 60.7167, unit="deg")
B1950 = GAMMA_CAS.transform_to(FK4(equinox="B1950", obstime=Time(1950, format="byear")))
OF_DATE = GAMMA_CAS.transform_to(FK5(equinox="J2005.4"))
POSITIONS = {
    "degrees": {"RA": 14.177, "DEC": 60.7167},
    "sexagesimal": {"RA": "00:56:42.48", "DEC": "+60:43:00.1"},
    "letters": {"RA": "00h56m42.48s", "DEC": "+60d43m00.1s"},
    "OBJCTRA": {"OBJCTRA": "00 56 42.48", "OBJCTDEC": "+60 43 00.1"},
    "OBJCTRA beside a telescope at rest": {"RA": 0.0, "DEC": 0.0, "OBJCTRA": "00 56 42.48", "OBJCTDEC": "+60 43 00.1"},
    "hours by the comment": {"RA": (14.177 / 15, "[h] right ascension"), "DEC": 60.7167},
    "radians by the comment": {"RA": (np.radians(14.177), "[rad]"), "DEC": (np.radians(60.7167), "[rad]")},
    "degrees by what the comment repeats": {"RA": (14.177, "00:56:42.5 RA (J2000)"), "DEC": (60.7167, "60:43:00.1")},
    "radians by what the comment repeats": {"RA": (np.radians(14.177), "Mean RA 00 56 42.5"),
                                            "DEC": (np.radians(60.7167), "Mean Dec 60 43 00")},
    "FK5 of 2000": {"RA": 14.177, "DEC": 60.7167, "EQUINOX": 2000.0, "RADECSYS": "FK5"},
    "B1950": {"RA": B1950.ra.deg, "DEC": B1950.dec.deg, "EQUINOX": "B1950.0"},
    "1950 without a letter": {"RA": B1950.ra.deg, "DEC": B1950.dec.deg, "EQUINOX": 1950.0},
    "EPOCH 1950": {"RA": B1950.ra.deg, "DEC": B1950.dec.deg, "EPOCH": 1950.0},
    "FK4 without an equinox": {"RA": B1950.ra.deg, "DEC": B1950.dec.deg, "RADECSYS": "FK4"},
    "FK5 of another year": {"RA": OF_DATE.ra.deg, "DEC": OF_DATE.dec.deg, "EQUINOX": 2005.4, "RADESYS": "FK5"},
    "an equinox that is not the year of observation": {"RA": OF_DATE.ra.deg, "DEC": OF_DATE.dec.deg, "EQUINOX": 2005.4,
                                                       "DATE_OBS": "2020-01-05T20:00:00"},
}  # fmt: skip


@pytest.mark.parametrize("case", POSITIONS)
def test_positions_are_icrs(tmp_path, case):
    spectrum = only(image(tmp_path / "a.fits", **POSITIONS[case]))
    found = SkyCoord(spectrum.meta["ra_deg"], spectrum.meta["dec_deg"], unit="deg")
    assert found.separation(GAMMA_CAS).arcsec < 0.6
    assert not spectrum.quality & (Quality.NO_POSITION | Quality.POSITION_DOUBTFUL)


def test_the_equinox_of_date_is_flagged_and_not_followed(tmp_path):
    cards = {"RA": 14.177, "DEC": 60.7167, "EQUINOX": 2020.01, "EPOCH": 2020.01, "DATE_OBS": "2020-01-05T20:00:00"}
    spectrum = only(image(tmp_path / "a.fits", **cards))
    assert (spectrum.meta["ra_deg"], spectrum.meta["dec_deg"]) == (14.177, 60.7167)
    assert spectrum.quality & Quality.POSITION_DOUBTFUL


@pytest.mark.parametrize(
    ("cards", "doubtful"),
    [
        ({"RA": 0.0, "DEC": 0.0}, False),
        ({"RA": "00:00:00", "DEC": "+00:00:00"}, False),
        ({}, False),
        ({"RA": 400.0, "DEC": 20.0}, False),
        ({"RA": "00:76:42", "DEC": "+60:43:00"}, False),
        ({"RA": (3.02864803, "Mean RA  11 34 06.9"), "DEC": (-0.14798453, "Mean Dec  -9 31 16")}, True),
    ],
)
def test_no_position(tmp_path, cards, doubtful):
    spectrum = only(image(tmp_path / "a.fits", **cards))
    assert spectrum.meta["ra_deg"] is None
    assert spectrum.meta["dec_deg"] is None
    assert spectrum.quality & Quality.NO_POSITION
    assert bool(spectrum.quality & Quality.POSITION_DOUBTFUL) is doubtful


# --------------------------------------------------------------------------------------- checksums, keywords and packing
def test_a_checksum_older_than_the_file_is_flagged(tmp_path):
    hdu = fits.open(image(tmp_path / "a.fits", DATE="2019-01-01T00:00:00"))[0]
    hdu.add_checksum(when="made 2019-01-01T00:00:00")
    hdu.writeto(tmp_path / "sealed.fits")
    content = (tmp_path / "sealed.fits").read_bytes()
    assert not only(tmp_path / "sealed.fits").quality & Quality.CHECKSUM_STALE
    changed = content.replace(FLUX[600:601].astype(">f4").tobytes(), FLUX[601:602].astype(">f4").tobytes(), 1)
    damaged = tmp_path / "damaged.fits"
    damaged.write_bytes(changed)
    with pytest.raises(Rejected, match="DATASUM does not agree"):
        read_file(damaged)
    later = tmp_path / "later.fits"
    later.write_bytes(changed.replace(b"DATE    = '2019-01-01T", b"DATE    = '2019-06-19T"))
    spectrum = only(later)
    assert spectrum.quality & Quality.CHECKSUM_STALE


def test_zeros_that_fill_up_the_ends_are_cut_off(tmp_path):
    padded = FLUX.copy()
    padded[:100], padded[-50:], padded[600] = 0, np.nan, 0
    red = only(image(tmp_path / "a.fits", padded)).arms["red"]
    assert red.flux.size == N - 150
    assert red.flux[500] == 0  # inside it is left as it is


def test_bss_keywords_are_kept(tmp_path):
    spectrum = only(image(tmp_path / "a.fits", BSS_VHEL=0.0, BSS_RQVH=-12.5, BSS_NORM="Spline", BSS_TELL="None"))
    kept = {key: value for key, value in spectrum.meta.items() if key.startswith("bss")}
    assert kept == {"bss_vhel_km_s": 0.0, "bss_rqvh_km_s": -12.5, "bss_norm": "Spline", "bss_tell": "None"}


def test_packed_files(tmp_path):
    plain = image(tmp_path / "plain.fits").read_bytes()
    (tmp_path / "a.fits.bz2").write_bytes(bz2.compress(plain))
    (tmp_path / "a.fits.xz").write_bytes(lzma.compress(plain))
    with zipfile.ZipFile(tmp_path / "a.fits.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("folder/a.fits", plain)
        archive.writestr("__MACOSX/._a.fits", b"x")
    rows = fits.CompImageHDU(FLUX[None, :], compression_type="GZIP_1", quantize_level=0)
    rows.header.update(CRVAL1=START_A, CDELT1=STEP_A, CRPIX1=1.0, CUNIT1="Angstrom")
    fits.HDUList([fits.PrimaryHDU(), rows]).writeto(tmp_path / "a.fits.fz")
    found = find_spectra([tmp_path])
    assert len(found) == 5
    for path in found:
        is_the_spectrum(only(path))


def test_archives_that_cannot_be_used_say_so_in_one_line(tmp_path):
    two = io.BytesIO()
    with zipfile.ZipFile(two, "w") as archive:
        archive.writestr("a.fits", b"1")
        archive.writestr("b.fits", b"2")
    packed = bz2.compress(b"a" * 10_000)
    cases = [
        (two.getvalue(), "zip holds 2 files"),
        (two.getvalue()[:40], "zip is damaged"),
        (packed[:20], "bzip2 is damaged"),
        (lzma.compress(b"a" * 1000)[:-9], "xz is damaged"),
        (bz2.compress(bytes(2**26 + 1)), "bzip2 holds more than 64 MiB"),
        (b"\x1f\x9d\x90abc", "program compress"),
    ]
    for content, reason in cases:
        (tmp_path / "a").write_bytes(content)
        with pytest.raises(Rejected, match=reason):
            read_file(tmp_path / "a")


# --------------------------------------------------------------------------------------------------------------- text
def rows(form, separator):
    return "\n".join(separator.join(form(v) for v in row) for row in zip(GRID_A, FLUX, strict=True))


def comma(value):
    return f"{value:.4f}".replace(".", ",")


def point(value):
    return f"{value:.4f}"


TEXTS = {
    "decimal comma and semicolon": ("Wellenlaenge;Intensitaet\n" + rows(comma, ";")).encode(),
    "decimal comma and tab": rows(comma, "\t").encode(),
    "decimal comma and blank": rows(comma, " ").encode(),
    "comma and blank": rows(point, ", ").encode(),
    "UTF-16": ("Wavelength,Flux\n" + rows(point, ",")).encode("utf-16"),
    "mark and CRLF": ("Wavelength,Flux\n" + rows(point, ",")).replace("\n", "\r\n").encode("utf-8-sig"),
    "four columns": "\n".join(f"{w:.4f} {f:.4f} 0.01 100" for w, f in zip(GRID_A, FLUX, strict=True)).encode(),
    "Narval": (f"***Reduced spectrum of 'gam_cas'\n {N} 5\n" + "\n".join(
        f"  {w / 10:.5f} {f:.4e} 1.0e-04 1.0e-04 1.0e-04 2.0e-02" for w, f in zip(GRID_A, FLUX, strict=True))).encode(),
}  # fmt: skip


@pytest.mark.parametrize("case", TEXTS)
def test_text_of_every_kind(tmp_path, case):
    path = tmp_path / "a.s"
    path.write_bytes(TEXTS[case])
    spectrum = only(path)
    is_the_spectrum(spectrum)
    if case == "Narval":
        assert spectrum.arms["red"].ivar == pytest.approx(np.full(N, 2500.0))
    else:
        assert spectrum.quality & Quality.IVAR_ESTIMATED


def test_digits_behind_a_comma_are_never_taken_for_flux(tmp_path):
    path = tmp_path / "a.txt"
    for text in ("\n".join(map(comma, GRID_A)), rows(comma, ",")):
        path.write_text(text)
        with pytest.raises(Rejected):
            read_file(path)


# --------------------------------------------------------------------------------------------------- the real folder
def field(real_data, name):
    return only(real_data / "field" / name)


def test_made_files_are_the_plain_one(real_data):
    """Every layout and unit of one spectrum gives the wavelengths and the flux of the plain file."""
    plain = field(real_data, "made/r00_plain.fits").arms["red"]
    refused = (
        "r01_",
        "r01c",
        "r14",
        "r17",
        "r18",
        "r21d",
        "r23",
        "r24c",
        "r25",
        "r30",
    )  # others, or tested below
    names = [p.name for p in sorted((real_data / "field/made").iterdir()) if not p.name.startswith(refused)]
    assert len(names) >= 47
    for name in names:
        red = field(real_data, f"made/{name}").arms["red"]
        assert red.wavelength_a == pytest.approx(plain.wavelength_a, abs=0.01), name
        assert red.flux == pytest.approx(plain.flux, rel=2e-3, abs=5e-3), name  # noise of its own


EXPECTED_EPOCHS = {
    "made/r11_dateobs_ut.fits": "2020-01-05T20:05:00",
    "made/r11c_old_date_fmt.fits": "1998-01-05T20:05:00",
    "made/r11d_dateend_no_exptime.fits": "2020-01-05T21:00:00",
    "made/r11g_trailing_UT.fits": "2020-01-05T20:05:00",
    "made/r11h_exptime_string.fits": "2020-01-05T20:05:00",
    "made/r17_eso_phase3_nm.fits": "2020-01-05T20:05:00",
    "halpha/oe270005.fits": "2005-05-27T22:30:02",
    "halpha/alphadra_window_04.fits": "2023-05-02T20:13:08",
}


@pytest.mark.parametrize("name", EXPECTED_EPOCHS)
def test_epochs_of_the_field(real_data, name):
    assert abs(field(real_data, name).meta["mjd"] - Time(EXPECTED_EPOCHS[name]).mjd) < MINUTE_D


def test_flags_of_the_field(real_data):
    contradicting = field(real_data, "made/r11e_underscore_time_jdmid.fits")
    assert contradicting.meta["mjd"] is None
    assert contradicting.quality & Quality.EPOCH_DOUBTFUL
    ondrejov = field(real_data, "halpha/oe270005.fits")
    assert ondrejov.quality & Quality.POSITION_DOUBTFUL
    assert ondrejov.meta["ra_deg"] == pytest.approx(329.32583, abs=1e-4)
    assert field(real_data, "odd/sun_harps_ganymede.fits").quality & Quality.CHECKSUM_STALE
    radians = field(real_data, "odd/stelib_spec_fits_HR4468_moy.fits")
    assert radians.meta["ra_deg"] is None
    assert radians.quality & Quality.POSITION_DOUBTFUL


@pytest.mark.parametrize(
    ("name", "ra_deg", "dec_deg"),
    [("made/r26b_equinox1950.fits", 14.17708, 60.71667), ("odd/stelib_spec_fits_HR3454_moy.fits", 130.80614, 3.39866)],
)
def test_positions_of_1950_in_the_field(real_data, name, ra_deg, dec_deg):
    """gamma Cas and HR 3454 in ICRS (SIMBAD); proper motion over 50 years and the catalogue's digits leave half a minute of arc."""
    meta = field(real_data, name).meta
    found = SkyCoord(meta["ra_deg"], meta["dec_deg"], unit="deg")
    assert found.separation(SkyCoord(ra_deg, dec_deg, unit="deg")).arcsec < 30


def test_orders_and_infrared_of_the_field(real_data):
    order = field(real_data, "made/r14_eshel_orders.fits").arms["red"]
    assert order.flux.max() > 3
    assert order.wavelength_a[0] == pytest.approx(6481.8, abs=0.1)
    vega = field(real_data, "odd/alpha_lyr_stis_012.fits")
    assert vega.arms["red"].wavelength_a[-1] < 6860
    assert not vega.quality & Quality.AIR_CONVERTED  # its HISTORY says vacuum
    vacuum = field(real_data, "made/r17_eso_phase3_nm.fits")
    assert vacuum.quality & Quality.AIR_CONVERTED  # obs.atmos
    for name, reason in (
        ("r01_iraf", "Chebyshev"),
        ("r01c", "H-alpha at 6564.6 A is not in it"),
    ):
        path = next((real_data / "field/made").glob(f"{name}*"))
        with pytest.raises(Rejected, match=reason):
            read_file(path)
