"""Bad files: each is rejected with a reason, none crashes, hangs or takes memory, and no altered flux is believed."""

from __future__ import annotations

import ast
import gzip
import io
import math
import os
import re
import resource
import shutil
import sqlite3
import sys
import time
import warnings
from contextlib import closing
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from hypothesis import given, settings
from hypothesis import strategies as st

from becat import cli
from becat.etl.catalogue.errors import Rejected
from becat.etl.readers import RawSpectrum, read_file
from becat.etl.readers.content import MAX_BYTES, read_content
from becat.schema.tables import TABLES
from tests.tools.header_mutations import header_mutants, verdict
from tests.tools.mutations import mutants, packaged_spectra, with_checksums

ROOT_USER = hasattr(os, "geteuid") and os.geteuid() == 0


@pytest.fixture(scope="session")
def mrs() -> Path:
    return next(p for p in packaged_spectra() if p.name.startswith("med-58625"))


@pytest.fixture(scope="session")
def lrs() -> Path:
    return next(p for p in packaged_spectra() if p.name.startswith("spec-58397"))


def rejection(path: Path, exposures: str = "coadd") -> str:
    """Reasons for which nothing of a file is taken."""
    try:
        spectra, rejected = read_file(path, exposures)
    except Rejected as error:
        assert str(path) == error.file
        assert error.stage in ("open", "read")
        return f"{error.detail}: {error.reason}"
    assert spectra == []
    return "; ".join(f"{r.detail}: {r.reason}" for r in rejected)


def changed(source: Path, target: Path, change) -> Path:
    """A copy of a file in which `change` was done to astropy's HDU list."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with fits.open(source) as hdus:
            for hdu in hdus:
                _ = hdu.data  # loaded, so that it can be changed
            change(hdus)
            hdus.writeto(target, output_verify="ignore", overwrite=True)
    return target


# Bytes


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is empty"),
        (b"hello, this is no spectrum\n" * 50, "neither FITS nor a table"),
        (b"\x89PNG\r\n\x1a\n" + bytes(1000), "is not FITS"),
        (bytes(100_000), "is not FITS"),
        (b"SIMPLE  =                    T" + b" " * 50, "has no END"),
        (b"\x1f\x8b", "gzip is truncated"),
        (b"\x1f\x8bnonsense" * 100, "gzip is corrupt"),
        (gzip.compress(b"", mtime=0), "is empty"),
        (b"1 2\n3 4\n" + b"word\n", "is not a row of wavelength and flux"),
        (b"6500 1\n6501 1\n", "H-alpha at 6564.6 A is not in it"),
        (("\n".join(f"{6500 + i} 1.0" for i in range(100))).encode(), "flux has no scatter from pixel to pixel"),
        (("\n".join(f"{6500 + i % 80} {i}" for i in range(100))).encode(), "not in order"),
    ],
)
def test_bytes_that_are_no_spectrum(tmp_path, content, reason):
    path = tmp_path / "file.fits"
    path.write_bytes(content)
    with pytest.raises(Rejected, match=reason):
        read_file(path)


def test_places_that_are_no_file(tmp_path, mrs):
    with pytest.raises(Rejected, match=r"is not a regular file|cannot be opened"):
        read_file(tmp_path)
    with pytest.raises(Rejected, match="No such file"):
        read_file(tmp_path / "absent.fits")
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe.fits")
        with pytest.raises(Rejected, match="is not a regular file"):
            read_file(tmp_path / "pipe.fits")
    if not ROOT_USER:
        secret = tmp_path / "secret.fits"
        secret.write_bytes(mrs.read_bytes())
        secret.chmod(0)
        with pytest.raises(Rejected, match="Permission denied"):
            read_file(secret)


@pytest.mark.parametrize("name", ["with space.fits", "βCMi é 星.fits.gz", "no_ending", "percent%20[1]*.fits"])
def test_names_do_not_matter(tmp_path, mrs, name):
    for content in (mrs.read_bytes(), gzip.decompress(mrs.read_bytes())):
        (tmp_path / name).write_bytes(content)
        assert read_file(tmp_path / name)[0][0].spectrum_id == 744812076


def test_truncated_gzip_is_rejected_wherever_it_ends(tmp_path, mrs):
    content = mrs.read_bytes()
    path = tmp_path / "t.fits.gz"
    for end in [*range(len(content) - 9, len(content)), *range(20, len(content), len(content) // 12)]:
        path.write_bytes(content[:end])
        assert "gzip" in rejection(path)


def test_wrong_crc_and_length_are_rejected(tmp_path, mrs):
    content = mrs.read_bytes()
    for place in range(len(content) - 8, len(content)):
        damaged = bytearray(content)
        damaged[place] ^= 1
        (tmp_path / "t.gz").write_bytes(damaged)
        assert "gzip is corrupt" in rejection(tmp_path / "t.gz")


def test_gzip_of_several_members_and_padding(tmp_path, mrs):
    content = gzip.decompress(mrs.read_bytes())
    half = len(content) // 2
    path = tmp_path / "t.gz"
    path.write_bytes(gzip.compress(content[:half]) + gzip.compress(content[half:]) + bytes(512))
    assert read_file(path)[0][0].spectrum_id == 744812076
    for rubbish in (b"rubbish", mrs.read_bytes()[-8:]):  # the second looks like the end of a whole file
        path.write_bytes(mrs.read_bytes() + rubbish)
        assert "gzip" in rejection(path)


def test_a_gzip_bomb_is_cut_off(tmp_path):
    path = tmp_path / "bomb.fits.gz"
    with gzip.open(path, "wb", 9) as bomb:
        for _ in range(100):
            bomb.write(bytes(1 << 20))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert "gzip holds more than 64 MiB" in rejection(path)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown * (1 if sys.platform == "darwin" else 1024) < 4 * MAX_BYTES
    sparse = tmp_path / "sparse.fits"
    with sparse.open("wb") as file:
        file.truncate(1 << 40)
    assert "is larger than 64 MiB" in rejection(sparse)


# Headers


def header_damage(source: Path, target: Path, place: int, keyword: str, value: bytes) -> Path:
    """Overwrite the value of a keyword in the header of HDU number `place`, in the bytes."""
    content = source.read_bytes()
    content = gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content
    with fits.open(io.BytesIO(content)) as hdus:
        start = hdus[place].fileinfo()["hdrLoc"]
    at = content.index(keyword.encode().ljust(8) + b"=", start)
    target.write_bytes(
        content[:at] + (keyword.encode().ljust(8) + b"= " + value.rjust(20)).ljust(80) + content[at + 80 :]
    )
    return target


@pytest.mark.parametrize(
    ("hdu", "keyword", "value", "reason"),
    [
        (2, "NAXIS2", b"99999999999999999", "truncated: the header promises"),
        (2, "NAXIS2", b"-5", "negative length"),
        (2, "NAXIS1", b"'abc'", "NAXIS1 is not a number"),
        (2, "NAXIS1", b"17", "the columns need 16 bytes a row|truncated|foreign"),
        (2, "NAXIS", b"999", "NAXIS is 999"),
        (2, "NAXIS", b"-1", "NAXIS is -1"),
        (2, "BITPIX", b"17", "BITPIX is 17"),
        (2, "PCOUNT", b"-100", "negative"),
        (2, "GCOUNT", b"99999999999", "truncated"),
        (2, "TFIELDS", b"100000", "TFIELDS is 100000"),
        (2, "TFORM1", b"'99999999999E'", "bytes a row|is damaged"),
        (2, "TFORM1", b"'Z'", "TFORM1 is 'Z'"),
        (2, "SNR", b"'high'", "keyword SNR is not a number"),
        (2, "SNR", b"-9999.0", "S/N .* is missing"),
        (0, "RA", b"", "coordinates .* are missing"),
        (0, "DEC", b"91.0", "coordinates are out of range"),
        (0, "RA", b"-0.5", "coordinates are out of range"),
        (0, "RA", b"NAN", "keyword RA is not a number"),
        (0, "OBSID", b"-3", "OBSID is -3"),
        (0, "OBSID", b"1E300", "OBSID is"),
        (0, "FIBERTYP", b"'Sky     '", "not on a star"),
        (0, "SPID", b"99999999999", "LAMOST has 1 to 16"),
        (0, "FIBERID", b"0", "LAMOST has 1 to 250"),
        (0, "N_EXTEN", b"500", "truncated: the header promises 500 HDUs"),
        (2, "EXTNAME", b"'COADD_B '", "COADD_B is there twice"),
        (2, "LMJMLIST", b"'84420148-17'", "is not one of minutes of a night"),
        (2, "EXTNAME", b"'COADD_X '", "the red arm is missing"),
        (1, "EXTNAME", b"'COADD_X '", "the blue arm is missing"),
        (2, "TTYPE1", b"'FLUCKS  '", "column FLUX is missing"),
        (2, "TTYPE3", b"'LOG     '", "column LOGLAM is missing"),
        (2, "LMJMLIST", b"'8390x-1'", "is not one of minutes"),
    ],
)
def test_damaged_keywords_of_mrs(tmp_path, mrs, hdu, keyword, value, reason):
    with pytest.raises(Rejected, match=reason):
        read_file(header_damage(mrs, tmp_path / "m.fits", hdu, keyword, value))


@pytest.mark.parametrize(
    ("keyword", "value", "reason"),
    [
        ("COEFF0", b"9.9", "give no optical wavelengths"),
        ("COEFF0", b"3.6", "give different wavelengths"),
        ("NAXIS1", b"100", "foreign bytes|different"),
        ("NAXIS2", b"4", "no known kind of spectrum"),
        ("BITPIX", b"-64", "truncated"),
        ("SNRR", b"'x'", "SNRR is not a number"),
    ],
)
def test_damaged_keywords_of_lrs(tmp_path, lrs, keyword, value, reason):
    with pytest.raises(Rejected, match=reason):
        read_file(header_damage(lrs, tmp_path / "l.fits", 0, keyword, value))


def test_non_ascii_bytes_in_a_header_that_nobody_needs(tmp_path, mrs):
    path = header_damage(mrs, tmp_path / "m.fits", 0, "OBJNAME", b"'\xc3\xa9toile\xff\x00'")
    assert read_file(path)[0][0].spectrum_id == 744812076


def test_a_huge_header_is_rejected(tmp_path):
    card = b"COMMENT".ljust(80)
    content = b"SIMPLE  =                    T".ljust(80) + card * 400_000
    (tmp_path / "h.fits").write_bytes(content)
    assert "longer than 3,600 cards" in rejection(tmp_path / "h.fits")


def test_thousands_of_hdus_are_rejected(tmp_path):
    primary = fits.PrimaryHDU().header.tostring().encode()
    extension = fits.ImageHDU().header.tostring().encode()
    (tmp_path / "h.fits").write_bytes(primary + extension * 5000)
    assert "more than 1000 HDUs" in rejection(tmp_path / "h.fits")


# Values


def set_red(column: str, change):
    def apply(hdus):
        data = hdus["COADD_R"].data[column]
        data[:] = change(np.array(data, dtype=float))

    return apply


RNG = np.random.default_rng(0)


@pytest.mark.parametrize(
    ("column", "change", "reason"),
    [
        ("FLUX", lambda x: x * np.nan, "flux is NaN or infinite in every pixel"),
        ("FLUX", lambda x: np.where(np.arange(x.size) % 3, np.nan, x), "only 33% of the pixels can be used"),
        ("FLUX", lambda x: x * 0, "flux is zero in every pixel"),
        ("FLUX", lambda x: -np.abs(x) - 1, "flux is negative or zero in every pixel"),
        ("FLUX", lambda x: np.where(np.arange(x.size) % 10, -x, x), "flux is negative"),
        ("IVAR", lambda x: x * 0, "inverse variance is zero in every pixel"),
        ("IVAR", lambda x: x * np.nan, "inverse variance is zero in every pixel"),
        ("ORMASK", lambda x: x * 0 + 1, "only 0% of the pixels can be used"),
        ("LOGLAM", lambda x: np.where(np.arange(x.size) == 99, np.nan, x), "wavelengths are NaN"),
        ("LOGLAM", lambda x: RNG.permutation(x), "wavelengths are not in order"),
        ("LOGLAM", lambda x: np.where(np.arange(x.size) == 99, np.roll(x, 1), x), "wavelengths are repeated"),
        ("LOGLAM", lambda x: 10**x, "wavelengths are NaN or infinite"),
        ("LOGLAM", lambda x: x - 1, "not optical ones in Angstrom"),
        ("LOGLAM", lambda x: x + 0.1, "covers .* not the 6548 to 6578 of the red arm"),
        ("LOGLAM", lambda x: np.where(np.arange(x.size) > 2000, x + 0.001, x), "wavelengths jump"),
    ],
)
def test_values_that_cannot_be_trusted(tmp_path, mrs, column, change, reason):
    with pytest.raises(Rejected, match=reason) as caught:
        read_file(changed(mrs, tmp_path / "m.fits", set_red(column, change)))
    assert caught.value.detail == "COADD_R"


def test_a_few_bad_pixels_are_masked(tmp_path, mrs):
    def damage(hdus):
        hdus["COADD_R"].data["FLUX"][[10, 20]] = np.nan, np.inf
        hdus["COADD_R"].data["IVAR"][[30, 40, 50]] = 0, -1, np.nan

    red = read_file(changed(mrs, tmp_path / "m.fits", damage))[0][0].arms["red"]
    assert red.bad[[10, 20, 30, 40, 50]].all()
    assert not red.ivar[red.bad].any()
    assert np.isfinite(red.flux).all()
    assert np.isfinite(red.ivar).all()


def test_one_bad_exposure_does_not_cost_the_others(tmp_path, mrs):
    def damage(hdus):
        hdus[3].data["FLUX"][:] = 0

    path = changed(mrs, tmp_path / "m.fits", damage)
    spectra, rejected = read_file(path, "all")
    assert len(spectra) == 3
    assert [(r.detail, r.reason.split(":")[0]) for r in rejected] == [("B-84420148", "flux is zero in every pixel")]


def test_an_exposure_without_one_arm_is_named(tmp_path, mrs):
    def damage(hdus):
        hdus[0].header["N_EXTEN"] -= 1
        del hdus["B-84420171"]

    spectra, rejected = read_file(changed(mrs, tmp_path / "m.fits", damage), "single")
    assert [s.meta["lmjm"] for s in spectra] == [84420148, 84420195]
    assert rejected[0].detail == "84420171"
    assert "the blue arm is missing" in rejected[0].reason


def test_no_single_exposures_where_they_are_asked_for(tmp_path, lrs, mrs):
    assert "use --exposures coadd" in rejection(lrs, "single")

    def damage(hdus):
        hdus[0].header["N_EXTEN"] = 3
        del hdus[3:]

    assert "use --exposures coadd" in rejection(changed(mrs, tmp_path / "m.fits", damage), "single")


# Checksums


@pytest.mark.parametrize("which", ["DATASUM", "CHECKSUM"])
def test_every_flipped_bit_under_a_checksum_is_seen(tmp_path, mrs, which):
    content = with_checksums(gzip.decompress(mrs.read_bytes()))
    other = b"CHECKSUM" if which == "DATASUM" else b"DATASUM "
    content = content.replace(other, b"COMMENT ")
    if which == "CHECKSUM":  # the other card has changed: make the sums anew without it
        target = io.BytesIO()
        with fits.open(io.BytesIO(content)) as hdus:
            hdus.writeto(target, checksum="standard", output_verify="ignore")
        content = target.getvalue()
    path = tmp_path / "c.fits"
    path.write_bytes(content)
    assert read_file(path)[0]
    with fits.open(path) as hdus:
        start, size = hdus["COADD_R"].fileinfo()["datLoc"], hdus["COADD_R"].fileinfo()["datSpan"]
    for place in np.random.default_rng(2).integers(start, start + size, 40):
        damaged = bytearray(content)
        damaged[place] ^= 1 << int(place % 8)
        path.write_bytes(damaged)
        assert "does not agree" in rejection(path)


# Fuzz


def arrays(spectra: list[RawSpectrum]) -> list[bytes]:
    return [
        a.tobytes() for s in spectra for _, r in sorted(s.arms.items()) for a in (r.wavelength_a, r.flux, r.ivar, r.bad)
    ]


def check_believable(spectra: list[RawSpectrum]) -> None:
    """What every spectrum that is let through must satisfy."""
    for spectrum in spectra:
        assert abs(spectrum.spectrum_id) < 2**53
        check_fits_the_table(spectrum.meta)
        for raw in spectrum.arms.values():
            assert np.all(np.diff(raw.wavelength_a) > 0)
            assert np.isfinite(raw.flux).all()
            assert np.isfinite(raw.ivar).all()
            assert (raw.ivar >= 0).all()
            assert not raw.ivar[raw.bad].any()
            assert np.count_nonzero(~raw.bad) >= raw.bad.size / 2


def check_fits_the_table(meta: dict) -> None:
    """Every value goes into its column of the table spectrum: a catalogue must not break on a damaged header."""
    for name, value in meta.items():
        kind = TABLES["spectrum"].columns[name].type.python_type
        if value is None:
            continue
        if kind is int:
            limit = 2**31 if str(TABLES["spectrum"].columns[name].type) == "INTEGER" else 2**53
            assert isinstance(value, int) and abs(value) < limit, name
        elif kind in (float, Decimal):
            assert math.isfinite(value) and abs(value) < 3e38, name
        else:
            assert isinstance(value, kind), name


def fuzz(paths: list[Path], n_each: int, folder: Path, seed: int) -> None:
    rng = np.random.default_rng(seed)
    target = folder / "mutant.fits"
    for path in paths:
        exposures = "all" if path.name.startswith("med-") else "coadd"
        truth = set(arrays(read_file(path, exposures)[0]))
        for mutant in mutants(path, n_each, rng):
            target.write_bytes(mutant.content)
            began = time.perf_counter()
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("error")  # nothing of a library may reach the terminal
                    spectra, _ = read_file(target, exposures)
            except Rejected as error:
                assert error.reason
                spectra = []
            assert time.perf_counter() - began < 5, mutant.name
            check_believable(spectra)
            if mutant.sealed:
                assert truth.issuperset(arrays(spectra)), f"{mutant.name}: altered data were accepted"


def test_hundreds_of_damaged_files(tmp_path):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    fuzz(packaged_spectra(), 40, tmp_path, 3)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown * (1 if sys.platform == "darwin" else 1024) < 300e6


def test_headers_that_say_it_otherwise_or_twice_are_never_silently_wrong(tmp_path):
    rng = np.random.default_rng(7)
    wrong = [
        (mutant.name, what)
        for mutant in header_mutants(180, rng)
        if (what := verdict(mutant, tmp_path / "mutant.fits"))[:4].isupper()
    ]
    assert wrong == []


def test_damaged_files_of_the_other_layouts(tmp_path, real_data):
    paths = [
        next((real_data / "mrs").glob("med-58440*073*")),
        real_data / "lrs" / "bt-cmi-lamost.fits",
        next((real_data / "lrs").glob("spec-60591*")),
        real_data / "halpha" / "gamma-cas-emission.fits",
        real_data / "halpha" / "alphadra_20230322193823_aleduc.fits",
    ]
    fuzz(paths, 40, tmp_path, 4)


@settings(max_examples=150, deadline=2000)
@given(st.binary(max_size=3000))
def test_any_bytes(tmp_path_factory, content):
    path = tmp_path_factory.getbasetemp() / "any.fits"
    for start in (b"", b"SIMPLE  =                    T".ljust(80), b"\x1f\x8b\x08\0", b"6500 1\n"):
        path.write_bytes(start + content)
        try:
            spectra, _ = read_file(path)
        except Rejected:
            continue
        check_believable(spectra)


def test_flux_in_tiny_units_is_read(tmp_path):
    wave = np.linspace(6400, 6700, 2000)
    flux = 1e-30 * (1 + np.random.default_rng(0).normal(0, 0.01, wave.size))
    columns = [fits.Column("WAVE", "D", array=wave), fits.Column("FLUX", "D", array=flux)]
    fits.BinTableHDU.from_columns(columns).writeto(tmp_path / "t.fits")
    red = read_file(tmp_path / "t.fits")[0][0].arms["red"]
    assert red.snr == pytest.approx(100, rel=0.1)
    assert np.isfinite(red.ivar).all()


def test_every_reason_is_documented():
    """Each reason that the readers can give stands in docs/formats.md, by its longest fixed words."""
    root = Path(__file__).parent.parent
    page = re.sub(r"\s+", " ", (root / "docs" / "formats.md").read_text(encoding="utf-8"))
    missing = []
    for source in sorted((root / "etl" / "readers").glob("*.py")):
        for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Problem" and node.args:
                parts = node.args[0].values if isinstance(node.args[0], ast.JoinedStr) else [node.args[0]]
                fixed = [p.value.split(":")[0].strip(" (,'") for p in parts if isinstance(p, ast.Constant)]
                longest = max(fixed, key=len, default="")
                if longest and not longest.isspace() and longest not in page:
                    missing.append((source.name, longest))
    assert not missing, missing


def test_a_gzip_of_several_members_is_read_whole(tmp_path, mrs):
    content = gzip.decompress(mrs.read_bytes())
    half = len(content) // 2
    path = tmp_path / "two.fits.gz"
    path.write_bytes(gzip.compress(content[:half]) + gzip.compress(content[half:]) + bytes(512))
    (whole,), _ = read_file(mrs)
    (found,), _ = read_file(path)
    assert np.array_equal(found.arms["red"].flux, whole.arms["red"].flux)
    # Two members that are equal have one trailer: it is no proof that the first is all.
    row = "\n".join(f"{6300 + 0.1 * i:.1f} {1 + 0.01 * (7 * i % 13):.2f}" for i in range(3000)) + "\n"
    path.write_bytes(2 * gzip.compress(row.encode()))
    assert read_content(path) == 2 * row.encode()


def test_two_hundred_thousand_members_are_told_at_once(tmp_path):
    path = tmp_path / "many.fits.gz"
    path.write_bytes(200_000 * gzip.compress(b""))
    assert "more than 1000 members" in rejection(path)


@pytest.mark.parametrize("line", ["1" * 200_000 + "x 1", "x" + "*" * 200_000, "1" + " " * 200_000 + "x"])
def test_long_lines_of_text_are_read_once(tmp_path, line):
    noise = np.random.default_rng(1).normal(1, 0.01, 3000)
    rows = "\n".join(f"{6300 + 0.2 * i:.1f} {flux:.4f}" for i, flux in enumerate(noise))
    path = tmp_path / "long.txt"
    path.write_text(f"{line}\n{rows}\n")
    (spectrum,), _ = read_file(path)  # an hour, where each blank or digit is begun with anew
    assert spectrum.arms["red"].flux.size > 2000


@pytest.fixture(scope="module")
def empty(blank, tmp_path_factory):
    return Path(shutil.copy(blank, tmp_path_factory.mktemp("empty") / "c.duckdb"))


def told(monkeypatch, *words) -> tuple[int, str]:
    monkeypatch.setattr(sys, "argv", ["becat", *map(str, words)])
    return cli.outcome()


@pytest.mark.parametrize("command", ["why", "match", "compare", "init"])
def test_words_that_are_not_utf8_are_told(empty, monkeypatch, command):
    catalogue = [] if command == "init" else ["-c", empty]
    code, words = told(monkeypatch, command, os.fsdecode(b"a\xff"), *catalogue)
    assert code in (1, 2) and "is not UTF-8" in words


@pytest.mark.parametrize(
    "words",
    [
        ["compare", "x", "--radius", "nan"],
        ["match", "x", "--radius", "inf"],
        ["lamost", "plan", "--brightest", "nan"],
        ["lamost", "plan", "--region", "1", "nan", "1"],
    ],
)
def test_options_take_finite_numbers(monkeypatch, words):
    code, said = told(monkeypatch, *words)
    assert code == 2 and "is not a finite number" in said


def test_periods_too_short_to_be_searched_are_refused(empty, monkeypatch):
    """With 0 the search divided by it, with 1e-6 it took all the memory."""
    code, words = told(monkeypatch, "threshold", "period_shortest_d=1e-6", "-c", empty)
    assert code == 1 and "must be 0.1 or more" in words


@pytest.mark.parametrize(
    ("name", "content", "code", "words"),
    [
        ("a.csv", b"", 1, "it is empty"),
        (".csv", b"ra,dec\n1,2\n", 0, ""),
        ("b.csv", b"x\x1b[2J,y\x00\n1,2\n", 1, r"it has x\x1b[2J"),
    ],
)
def test_odd_tables_of_ones_own(empty, tmp_path, monkeypatch, name, content, code, words):
    """Among them a name that a terminal would take for an order."""
    (tmp_path / name).write_bytes(content)
    found = told(monkeypatch, "match", tmp_path / name, "-c", empty)
    assert found[0] == code and words in found[1]


def test_nothing_is_written_over_a_catalogue_or_labels(empty, tmp_path, monkeypatch):
    kept = empty.read_bytes()
    as_csv, labels = tmp_path / "c.csv", tmp_path / "l.sqlite"
    as_csv.write_bytes(kept)
    assert told(monkeypatch, "inspector", labels, "ada", "--password", "1234567890") == (0, "")
    for words, says in (
        (["publish", empty, "-c", empty], "is not a snapshot"),
        (["publish", labels, "-c", empty], "is not a snapshot"),
        (["template", empty], "exists already"),
        (["compare", "table7", "-c", as_csv, "--out", as_csv], "is the catalogue itself"),
        (["export", "stars", "star", "-c", as_csv, "--to", as_csv], "is the catalogue itself"),
        (["match", "star", "--into", "star", "-c", empty], "has a column star_id"),
    ):
        code, said = told(monkeypatch, *words)
        assert code in (1, 2) and says in said, words
    assert (empty.read_bytes(), as_csv.read_bytes()) == (kept, kept)
    with closing(sqlite3.connect(labels)) as connection:
        assert connection.execute("select name from inspector").fetchall() == [("ada",)]


def test_passwords_are_not_put_where_all_can_read_them(tmp_path, monkeypatch):
    with closing(sqlite3.connect(tmp_path / "s.sqlite")) as connection:
        connection.execute("create table star (star_id)")
    code, said = told(monkeypatch, "inspector", tmp_path / "s.sqlite", "ada", "--password", "1234567890")
    assert code == 1 and "holds other tables, such as star" in said


@pytest.mark.parametrize(
    ("content", "size", "says"),
    [(b"catalog = " + b"[" * 3000 + b"]" * 3000, 0, "too deeply"), (b"", 1 << 30, "that is no configuration")],
)
def test_configurations_that_take_all_are_refused(tmp_path, monkeypatch, content, size, says):
    with (tmp_path / "a.toml").open("wb") as file:
        file.write(content)
        if size:
            file.truncate(size)  # nothing of it is on the disk
    code, said = told(monkeypatch, "run", tmp_path / "a.toml")
    assert code == 2 and says in said


def test_a_seed_is_not_negative(tmp_path, monkeypatch):
    code, said = told(monkeypatch, "simulate", tmp_path / "new", "--seed", "-1")
    assert code == 2 and "-1 is not in the range" in said
