"""Reading spectra: every number of every layout against astropy, and identity, epoch and S/N against the files."""

from __future__ import annotations

import gzip
import shutil
import warnings
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from astropy.time import Time
from specutils.utils.wcs_utils import air_to_vac

from becat.etl.catalogue.errors import Rejected
from becat.etl.readers import read_file
from becat.etl.readers.checks import WINDOW_A, normal_snr
from becat.etl.readers.content import read_content
from becat.etl.readers.fits import parse
from becat.schema.quality import Quality
from tests.tools.mutations import packaged_spectra


def lamost_spectra(real_data: Path) -> list[Path]:
    return sorted([*(real_data / "mrs").iterdir(), *(real_data / "lrs").iterdir()])


def expected(path: Path, arm: str) -> tuple[np.ndarray, ...]:
    """Wavelength, flux, ivar and flags of the coadd as astropy reads them."""
    with fits.open(path) as hdus:
        names = [hdu.name for hdu in hdus]
        if "COADD_R" in names or "COADD" in names:
            data = hdus["COADD_R" if arm == "red" else "COADD_B"].data if "COADD_R" in names else hdus["COADD"].data
            native = {n: np.array(data[n]).ravel() for n in data.names}
            wave = (
                native["WAVELENGTH"].astype(float) if "WAVELENGTH" in native else 10 ** native["LOGLAM"].astype(float)
            )
            flags = native["ORMASK"] != 0
            if "COADD" in names:
                flags |= native["ANDMASK"] != 0
            return wave, native["FLUX"], native["IVAR"], flags
        rows, header = hdus[0].data, hdus[0].header
        wave = rows[2].astype(float)
        if not (np.diff(wave) > 0).all():
            wave = 10 ** (header["COEFF0"] + header["COEFF1"] * np.arange(rows.shape[1]))
        return wave, rows[0], rows[1], (rows[3] != 0) | (rows[4] != 0)


def compare(path: Path) -> None:
    (spectrum,), rejected = read_file(path)
    assert rejected == []
    for arm, raw in spectrum.arms.items():
        wave, flux, ivar, flags = expected(path, arm)
        inside = slice(*np.searchsorted(wave, WINDOW_A[arm]))
        wave, flux, ivar, flags = wave[inside], flux[inside], ivar[inside], flags[inside]
        assert np.array_equal(raw.wavelength_a, wave)
        assert np.array_equal(raw.flux, np.where(np.isfinite(flux), flux, 0).astype(np.float32))
        assert np.array_equal(raw.bad, flags | (ivar <= 0))
        assert np.array_equal(raw.ivar, np.where(raw.bad, 0, ivar).astype(np.float32))
        assert raw.flux.dtype == raw.ivar.dtype == np.float32
        assert raw.wavelength_a.dtype == np.float64
        assert raw.flux.dtype.isnative


@pytest.mark.parametrize("path", packaged_spectra(), ids=lambda p: p.name)
def test_packaged_files_equal_astropy_bit_for_bit(path):
    compare(path)


def test_all_real_files_equal_astropy_bit_for_bit(real_data):
    paths = lamost_spectra(real_data)
    assert len(paths) >= 30
    for path in paths:
        compare(path)


def test_single_exposures_equal_astropy_and_are_paired_by_minute(real_data):
    for path in sorted((real_data / "mrs").iterdir()):
        spectra, rejected = read_file(path, "single")
        assert rejected == []
        with fits.open(path) as hdus:
            minutes = sorted(hdu.header["LMJM"] for hdu in hdus if hdu.name.startswith("R-"))
            assert [str(s.meta["lmjm"]) for s in spectra] == minutes
            for spectrum in spectra:
                assert spectrum.spectrum_id == hdus[0].header["OBSID"] * 10**6 + spectrum.meta["lmjm"] % 10**6
                for arm, letter in (("red", "R"), ("blue", "B")):
                    hdu = hdus[f"{letter}-{spectrum.meta['lmjm']}"]
                    raw = spectrum.arms[arm]
                    flux = np.array(hdu.data["FLUX"]).ravel()
                    if "LOGLAM" in hdu.data.names and arm == "red":
                        flux = flux[::-1]  # from red to blue in the file
                        assert spectrum.quality & Quality.WAVELENGTH_SORTED
                    assert np.isin(raw.flux, flux).all()
                    assert np.all(np.diff(raw.wavelength_a) > 0)
                    assert raw.snr == pytest.approx(hdu.header["SNR"])


def test_all_is_coadd_and_singles(real_data):
    path = next((real_data / "mrs").glob("med-58440*073*"))
    ids = [s.spectrum_id for s in read_file(path, "all")[0]]
    assert ids[0] == read_file(path)[0][0].spectrum_id == 690611073
    assert ids[1:] == [s.spectrum_id for s in read_file(path, "single")[0]]
    assert len(set(ids)) == 4


def test_identity_is_safe_in_javascript_and_distinct(real_data):
    ids = []
    for path in [
        *lamost_spectra(real_data),
        *sorted((real_data / "halpha").iterdir()),
        *(real_data / "miles").glob("*.fits"),
    ]:
        exposures = "all" if path.name.startswith("med-") else "coadd"
        ids += [s.spectrum_id for s in read_file(path, exposures)[0]]
    assert len(set(ids)) == len(ids)
    assert max(abs(i) for i in ids) < 2**53
    assert min(ids) < 0 < max(ids)


def test_one_number_in_both_surveys_is_two_spectra(real_data, tmp_path):
    ids = []
    for source in (next((real_data / "lrs").glob("spec-60591*")), next((real_data / "mrs").glob("med-58440*073*"))):
        with fits.open(source) as hdus:
            hdus[0].header["OBSID"] = 690611073
            hdus.writeto(tmp_path / source.name.removesuffix(".gz"), checksum=False, output_verify="ignore")
        (spectrum,), _ = read_file(tmp_path / source.name.removesuffix(".gz"))
        assert spectrum.meta["obsid"] == 690611073
        ids.append(spectrum.spectrum_id)
    assert ids == [10690611073, 690611073]


def test_identity_does_not_depend_on_name_or_compression(real_data, tmp_path):
    for path in (real_data / "halpha" / "gamma-cas-emission.fits", real_data / "lrs" / "bt-cmi-lamost.fits"):
        other = tmp_path / "copy without an ending"
        other.write_bytes(gzip.compress(path.read_bytes()))
        assert read_file(other)[0][0].spectrum_id == read_file(path)[0][0].spectrum_id


def local(text: str) -> float:
    """MJD in UTC of a Chinese date, through astropy and datetime."""
    return Time(datetime.fromisoformat(text)).mjd - 8 / 24


def test_epoch_is_the_middle_of_the_exposures(real_data):
    mrs = {p.name[:9] + p.name[-11:-5]: p for p in (real_data / "mrs").iterdir()}
    (coadd,), _ = read_file(mrs["med-5844011-073"])
    begin, end = local("2018-11-17T19:40:48"), local("2018-11-17T20:46:10")
    assert coadd.meta["mjd"] == pytest.approx((begin + end) / 2, abs=1e-8)
    assert coadd.meta["n_exposures"] == 3
    assert coadd.meta["exposure_time_s"] == 1200 + 1200 + 1117
    single = read_file(mrs["med-5844011-073"], "single")[0][1]
    assert single.meta["mjd"] == pytest.approx(
        (local("2018-11-17T20:04:11") + local("2018-11-17T20:24:11")) / 2, abs=1e-8
    )


def test_epoch_of_a_coadd_whose_header_dates_cover_the_first_exposure_only(real_data):
    path = next((real_data / "mrs").glob("med-58268*"))
    (coadd,), _ = read_file(path)
    # Nine exposures of 600 s from 01:36 to 03:28 + 10 min; the header's DATE-END is 01:46:49.
    assert coadd.meta["n_exposures"] == 9
    middle = (83906016 + 83906128 + 10) / 2 / 1440 - 8 / 24
    assert coadd.meta["mjd"] == pytest.approx(middle, abs=1 / 1440)


def test_epochs_agree_with_the_header_where_it_is_right(real_data):
    for path in lamost_spectra(real_data):
        (spectrum,), _ = read_file(path)
        with fits.open(path) as hdus:
            middle = Time(hdus[0].header["DATE-OBS"]).mjd
        assert abs(spectrum.meta["mjd"] - middle) < 0.1, path.name


def test_low_resolution_epoch_does_not_begin_one_exposure_early(real_data):
    # DATE-BEG 02:01:48 is one exposure before the first of LMJMLIST (02:31); 3 x 30 min end at 04:05.
    (spectrum,), _ = read_file(next((real_data / "lrs").glob("spec-60591*")))
    assert spectrum.meta["mjd"] == pytest.approx(
        (local("2024-10-08T02:31:00") + local("2024-10-08T04:05:30")) / 2, abs=1 / 1440
    )


def test_signal_to_noise_and_position_are_the_header_s(real_data):
    for path in lamost_spectra(real_data):
        (spectrum,), _ = read_file(path)
        with fits.open(path) as hdus:
            header = hdus[0].header
            keys = ("SNRG", "SNRR") if "SNRG" in header else ("SN_G", "SN_R")
            snr = (
                (header[keys[0]], header[keys[1]])
                if len(hdus) < 3
                else (hdus["COADD_B"].header["SNR"], hdus["COADD_R"].header["SNR"])
            )
            assert (spectrum.meta["snr_b"], spectrum.meta["snr_r"]) == snr
            assert (spectrum.meta["ra_deg"], spectrum.meta["dec_deg"]) == (header["RA"], header["DEC"])
            assert spectrum.meta["designation"] == header["DESIG"].split()[-1]
            assert spectrum.meta["obsid"] == header.get("OBSID")


def test_lamost_s_snr_of_a_coadd_is_our_estimate(real_data):
    for path in (real_data / "mrs").iterdir():
        for raw in read_file(path)[0][0].arms.values():
            assert normal_snr(raw.flux, raw.ivar, raw.bad) == pytest.approx(raw.snr, rel=0.01, abs=0.15)


def test_layouts_are_recognised_by_content(real_data):
    found = {}
    for path in [
        *lamost_spectra(real_data),
        *(real_data / "halpha").iterdir(),
        *(real_data / "miles").glob("*941V.fits"),
    ]:
        found.setdefault(read_file(path)[0][0].meta["layout"], []).append(path)
    assert {layout: len(paths) for layout, paths in found.items()} == {
        "mrs rows": 9,
        "mrs vector": 2,
        "lrs image": 10,
        "lrs image with wavelength": 11,
        "lrs table": 2,
        "table of two columns": 13,
        "image with dispersion": 7,
    }


def test_observatory_spectra_are_brought_to_vacuum(real_data):
    path = real_data / "halpha" / "gamma-cas-emission.fits"
    (spectrum,), _ = read_file(path)
    table = fits.getdata(path, 1)
    red = spectrum.arms["red"]
    air = table["spectral"][np.isin(table["flux"].astype(np.float32), red.flux)]
    truth = air_to_vac(air * spectrum_unit(), method="Morton2000", scheme="iteration").value
    assert np.max(np.abs(red.wavelength_a - truth[: red.wavelength_a.size])) < 1e-4
    # The emission of gamma Cas peaks at H-alpha, 6564.6 Angstrom in vacuum, 1.8 less in air.
    assert abs(np.average(red.wavelength_a, weights=np.clip(red.flux - 1.5, 0, None)) - 6564.6) < 0.7
    expected_bits = Quality.AIR_CONVERTED | Quality.IVAR_ESTIMATED | Quality.SNR_ESTIMATED | Quality.NO_BLUE_ARM
    assert spectrum.quality == expected_bits
    assert spectrum.meta["mjd"] == 55887.7913310183
    assert spectrum.meta["survey"] == "other"


def spectrum_unit():
    from astropy import units

    return units.AA


def test_miles_has_both_arms_and_no_position(real_data):
    (spectrum,), _ = read_file(real_data / "miles" / "MILES_res2.50_star_m0941V.fits")
    assert set(spectrum.arms) == {"red", "blue"}
    assert spectrum.meta["ra_deg"] is None
    assert spectrum.quality & Quality.NO_POSITION
    assert spectrum.meta["resolving_power"] == pytest.approx(6564.6 / 2.5, rel=1e-3)


def line_spectrum(low=6400.0, high=6700.0, n=3000):
    rng = np.random.default_rng(1)
    wave = np.linspace(low, high, n)
    return wave, 1 - 0.4 * np.exp(-0.5 * ((wave - 6562.8) / 4) ** 2) + rng.normal(0, 0.01, n)


@pytest.mark.parametrize("separator", [" ", "\t", ",", ";", " , "])
@pytest.mark.parametrize("heading", ["", "# BeSS export\n# Angstrom\n", "wavelength,flux\n"])
def test_text_of_two_columns(tmp_path, separator, heading):
    wave, flux = line_spectrum()
    path = tmp_path / "étoile du soir.txt"
    path.write_text(heading + "\n".join(f"{w:.6f}{separator}{f:.8f}" for w, f in zip(wave, flux, strict=True)))
    (spectrum,), _ = read_file(path)
    red = spectrum.arms["red"]
    assert np.allclose(red.flux, flux, atol=1e-6)
    truth = air_to_vac(wave * spectrum_unit(), method="Morton2000", scheme="iteration").value
    assert np.max(np.abs(red.wavelength_a - truth)) < 1e-4
    assert red.snr == pytest.approx(100, rel=0.15)
    assert spectrum.meta["resolving_power"] == pytest.approx(6564.6 / 0.2, rel=1e-2)


@pytest.mark.parametrize(
    "kind", ["angstrom", "nm", "nm without unit", "log10", "wave-log", "vacuum", "reversed", "2d", "scaled"]
)
def test_images_with_dispersion(tmp_path, kind):
    wave, flux = line_spectrum()
    header = fits.Header({"CRVAL1": wave[0], "CDELT1": wave[1] - wave[0], "CRPIX1": 1.0, "OBJECT": "test"})
    data = flux.astype(np.float32)
    if kind.startswith("nm"):
        header["CRVAL1"], header["CDELT1"] = wave[0] / 10, (wave[1] - wave[0]) / 10
        if kind == "nm":
            header["CUNIT1"] = "nm"
    elif kind == "log10":
        header["CRVAL1"], header["CDELT1"], header["DC-FLAG"] = np.log10(wave[0]), 1e-5, 1
        wave = 10 ** (np.log10(wave[0]) + 1e-5 * np.arange(wave.size))
    elif kind == "wave-log":
        header["CTYPE1"] = "WAVE-LOG"  # vacuum by definition: FITS paper III
        wave = wave[0] * np.exp((wave - wave[0]) / wave[0])
    elif kind == "vacuum":
        header["VACUUM"] = True
    elif kind == "reversed":
        header["CRVAL1"], header["CDELT1"] = wave[-1], wave[0] - wave[1]
        data = data[::-1]
    elif kind == "2d":
        data = data[None, :]
    hdu = fits.PrimaryHDU(data, header)
    if kind == "scaled":
        hdu.scale("int16", bscale=1e-4, bzero=1.0)
    hdu.writeto(tmp_path / "s.fits")
    (spectrum,), _ = read_file(tmp_path / "s.fits")
    red = spectrum.arms["red"]
    in_vacuum = kind in ("vacuum", "wave-log")
    truth = wave if in_vacuum else air_to_vac(wave * spectrum_unit(), method="Morton2000", scheme="iteration").value
    assert np.max(np.abs(red.wavelength_a - truth[: red.wavelength_a.size])) < 2e-4
    assert np.allclose(red.flux, flux[: red.flux.size], atol=1e-4)
    assert bool(spectrum.quality & Quality.AIR_CONVERTED) != in_vacuum
    assert bool(spectrum.quality & Quality.WAVELENGTH_SORTED) == (kind == "reversed")


@pytest.mark.parametrize(
    ("names", "unit", "factor"),
    [
        (("WAVE", "FLUX"), "Angstrom", 1),
        (("lambda", "intensity"), "nm", 10),
        (("wavelength", "flux"), "", 1),
        (("LAM", "F"), "um", 1e4),
    ],
)
def test_tables_of_two_columns(tmp_path, names, unit, factor):
    wave, flux = line_spectrum()
    columns = [fits.Column(names[0], "D", unit or None, array=wave / factor), fits.Column(names[1], "E", array=flux)]
    fits.BinTableHDU.from_columns(columns).writeto(tmp_path / "t.fits")
    red = read_file(tmp_path / "t.fits")[0][0].arms["red"]
    assert np.array_equal(red.flux, flux.astype(np.float32))
    assert red.wavelength_a[0] == pytest.approx(6400 + 1.769, abs=1e-2)


def test_a_table_with_errors_and_scaled_columns_is_read_as_astropy_reads_it(tmp_path):
    wave, flux = line_spectrum()
    error = np.full(wave.size, 0.01)
    error[5] = 0
    columns = [
        fits.Column("WAVE", "D", array=wave),
        fits.Column("FLUX", "J", array=np.round((flux - 0.5) * 1e6).astype(np.int32)),
        fits.Column("ERR", "E", array=error),
    ]
    hdu = fits.BinTableHDU.from_columns(columns)
    hdu.header["TSCAL2"], hdu.header["TZERO2"] = 1e-6, 0.5
    hdu.writeto(tmp_path / "t.fits")
    red = read_file(tmp_path / "t.fits")[0][0].arms["red"]
    with fits.open(tmp_path / "t.fits") as hdus:
        assert np.array_equal(red.flux, hdus[1].data["FLUX"].astype(np.float32))
    assert np.allclose(red.flux, flux, atol=1e-5)
    assert red.bad[5]
    assert red.ivar[6] == pytest.approx(1e4)


def test_variable_length_cells_go_through_astropy(tmp_path):
    wave, flux = line_spectrum()
    columns = [fits.Column(n, "PE()", array=np.array([a], dtype=object)) for n, a in (("WAVE", wave), ("FLUX", flux))]
    fits.BinTableHDU.from_columns(columns).writeto(tmp_path / "t.fits")
    assert np.array_equal(read_file(tmp_path / "t.fits")[0][0].arms["red"].flux, flux.astype(np.float32))


def test_spectrum_without_snr_is_kept_for_the_general_catalogue(tmp_path):
    path = next(p for p in packaged_spectra() if p.name.startswith("med-58408"))
    with fits.open(path) as hdus:
        for hdu in hdus[1:]:
            hdu.header.remove("SNR")
        hdus.writeto(tmp_path / "m.fits")
    with pytest.raises(Rejected, match=r"S/N .* is missing: give the release's general catalogue"):
        read_file(tmp_path / "m.fits")
    (spectrum,), _ = read_file(tmp_path / "m.fits", need_snr=False)
    assert spectrum.meta["snr_r"] is None
    assert spectrum.meta["snr_source"] is None


def test_simulated_files_are_marked(tmp_path):
    path = next(p for p in packaged_spectra() if p.name.startswith("med-58408"))
    with fits.open(path) as hdus:
        hdus[0].header["SIMULAT"] = True
        hdus.writeto(tmp_path / "m.fits")
    assert read_file(tmp_path / "m.fits")[0][0].meta["is_simulated"] is True
    assert read_file(path)[0][0].meta["is_simulated"] is False


def test_headers_equal_astropy(real_data):
    """Every keyword of every header, as text or number."""
    for path in lamost_spectra(real_data)[::4]:
        ours = parse(read_content(path))
        with fits.open(path) as hdus, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            assert len(ours) == len(hdus)
            for mine, hdu in zip(ours, hdus, strict=True):
                assert mine.name == hdu.name.upper() or (mine.name, hdu.name) == ("", "")
                for card in hdu.header.cards:
                    if card.keyword in ("", "COMMENT", "HISTORY"):
                        continue
                    if isinstance(card.value, bool):
                        assert mine.logical(card.keyword) is card.value
                    elif isinstance(card.value, int | float):
                        assert mine.number(card.keyword) == card.value
                    else:
                        assert mine.string(card.keyword) == str(card.value).strip()


def test_checksums_written_by_astropy_are_accepted(tmp_path):
    for path in packaged_spectra()[:3]:
        with fits.open(path) as hdus:
            hdus.writeto(tmp_path / "c.fits", checksum=True, overwrite=True)
        assert "CHECKSUM" in parse(read_content(tmp_path / "c.fits"))[0]
        for ours, theirs in zip(
            read_file(tmp_path / "c.fits", "all")[0],
            read_file(path, "all")[0] if path.name[0] == "m" else read_file(path)[0],
            strict=True,
        ):
            assert np.array_equal(ours.arms["red"].flux, theirs.arms["red"].flux)


def test_no_output_from_libraries(real_data, tmp_path, capfd):
    for path in lamost_spectra(real_data)[:6]:
        shutil.copy(path, tmp_path)
        read_file(tmp_path / path.name)
    captured = capfd.readouterr()
    assert captured.out == captured.err == ""


def test_unknown_choice_of_exposures():
    with pytest.raises(ValueError, match="coadd, single, all"):
        read_file("x", "both")
