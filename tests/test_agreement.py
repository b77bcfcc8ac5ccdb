"""What a header says is held against the pixels and against itself: whole files whose numbers cannot be true are not believed."""

from __future__ import annotations

import gzip
import re

import numpy as np
import pytest
from astropy.io import fits

from becat.etl.catalogue.errors import Rejected
from becat.etl.readers import read_file
from becat.schema.quality import Quality
from tests.tools.mutations import packaged_spectra


@pytest.fixture(scope="module")
def mrs():
    return next(p for p in packaged_spectra() if p.name.startswith("med-58625"))


@pytest.fixture(params=["lrs/spec-57287", "lrs/spec-60591", "mrs/med-58440-NT222300N571704C01_sp11", "mrs/med-58625"])
def real(request, real_data):
    """One file of each layout whose red arm is a table or an image with wavelengths, and where its flux is."""
    return next(real_data.glob(f"{request.param}*"))


def altered(source, folder, change):
    """A copy without checksums in which `change` was done to astropy's HDU list."""
    path = folder / "altered.fits"
    with fits.open(source) as hdus:
        for hdu in hdus:
            for key in ("CHECKSUM", "DATASUM"):
                hdu.header.remove(key, ignore_missing=True)
        change(hdus)
        hdus.writeto(path, output_verify="ignore")
    return path


def reason(path):
    with pytest.raises(Rejected) as caught:
        read_file(path)
    return caught.value.reason


def arrays(hdus):
    """Flux and inverse variance of the red arm, to be changed in place."""
    if hdus[0].data is not None:
        return hdus[0].data[0], hdus[0].data[1]
    table = next(hdu for hdu in hdus if hdu.name in ("COADD", "COADD_R"))
    return table.data["FLUX"], table.data["IVAR"]


def exchange(flux, ivar):
    flux[:], ivar[:] = ivar.copy(), flux.copy()


def swap_bytes(flux, ivar):
    flux[:] = flux.byteswap()


def make_constant(flux, ivar):
    flux[:] = 100.0


def make_smooth(flux, ivar):
    flux[:] = (np.median(flux) * np.linspace(0.9, 1.1, flux.size)).reshape(flux.shape)


def put_zeros(flux, ivar):
    flux.reshape(-1)[np.random.default_rng(1).random(flux.size) < 0.45] = 0


def scale_errors(flux, ivar):
    ivar *= 100


@pytest.mark.parametrize("damage", [exchange, swap_bytes, make_constant, make_smooth, put_zeros, scale_errors])
def test_pixels_that_the_header_or_their_errors_contradict_are_rejected(real, tmp_path, damage):
    said = reason(altered(real, tmp_path, lambda hdus: damage(*arrays(hdus))))
    assert re.search("S/N|scatters|in every pixel|exactly zero|can be used", said), said


def test_floats_read_as_integers_are_rejected(real, tmp_path):
    content = real.read_bytes()
    content = gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content
    path = tmp_path / "integers.fits"
    integers = re.sub(rb"(TFORM\d+ *= '\d*)E", rb"\1J", content).replace(
        b"=                  -32", b"=                   32"
    )
    path.write_bytes(integers)
    assert integers != content
    assert re.search("whole numbers|wavelengths|CHECKSUM|DATASUM", reason(path))


@pytest.mark.parametrize(("key", "value"), [("RA", 10.0), ("DEC", -43.9), ("DESIG", "LAMOST J102814.09+435531.0")])
def test_a_position_that_the_header_contradicts_is_left_out(real, tmp_path, key, value):
    def change(hdus):
        hdus[0].header[key] = value

    (spectrum,), _ = read_file(altered(real, tmp_path, change))
    assert spectrum.meta["ra_deg"] is None and spectrum.meta["dec_deg"] is None
    assert spectrum.quality & Quality.POSITION_DOUBTFUL


@pytest.mark.parametrize("minutes", [180, 480, 7 * 1440, -7 * 1440])
def test_exposures_of_another_hour_or_night_give_no_epoch(real, tmp_path, minutes):
    def change(hdus):
        for hdu in hdus:
            for key in [key for key in hdu.header if key.startswith("LMJMLIS")]:
                numbers = [int(word) + minutes for word in hdu.header[key].split("-") if word]
                hdu.header[key] = "-".join(map(str, numbers))

    (whole,), _ = read_file(real)
    (spectrum,), _ = read_file(altered(real, tmp_path, change))
    assert whole.meta["mjd"] is not None and not whole.quality & Quality.EPOCH_DOUBTFUL
    assert spectrum.meta["mjd"] is None and spectrum.quality & Quality.EPOCH_DOUBTFUL


@pytest.mark.parametrize(("key", "value"), [("LMJD", 58000), ("DATE-OBS", "2015-01-01T12:00:00")])
def test_a_night_that_is_not_that_of_the_exposures_gives_no_epoch(mrs, tmp_path, key, value):
    def change(hdus):
        hdus[0].header[key] = value

    (spectrum,), _ = read_file(altered(mrs, tmp_path, change))
    assert spectrum.meta["mjd"] is None and spectrum.quality & Quality.EPOCH_DOUBTFUL


@pytest.mark.parametrize("shift", [-100, -1, 1, 30])
def test_rows_of_an_image_that_are_cut_elsewhere_are_rejected(real_data, tmp_path, shift):
    source = next((real_data / "lrs").glob("spec-57287*"))
    content = gzip.decompress(source.read_bytes())
    n = fits.getheader(source)["NAXIS1"]
    path = tmp_path / "cut.fits"
    path.write_bytes(content.replace(f"NAXIS1  = {n:20d}".encode(), f"NAXIS1  = {n + shift:20d}".encode()))
    assert "NAXIS1" in reason(path)


def test_nothing_real_is_touched_by_it(real_data):
    """Every file of LAMOST here is taken, with position and epoch: the limits are wide of what is true."""
    n = 0
    for path in sorted(
        [*real_data.glob("mrs/*.fits*"), *real_data.glob("lrs/*.fits*"), *real_data.glob("field/lrs/*.fits*")]
    ):
        spectra, problems = read_file(path, exposures="coadd")
        for spectrum in spectra:
            n += 1
            assert not spectrum.quality & (Quality.POSITION_DOUBTFUL | Quality.EPOCH_DOUBTFUL), path.name
            assert spectrum.meta["ra_deg"] is not None and spectrum.meta["mjd"] is not None, path.name
        assert not problems, path.name
    assert n > 30
