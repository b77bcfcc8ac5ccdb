"""Simple Spectral Access 1.1 to the rectified H-alpha profiles, at /ssa."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from datasette import NotFound, Response, hookimpl

from becat.publish.reading import first, made_of, snapshot_of
from becat.publish.vo import spectra
from becat.publish.vo.tap import vosi
from becat.publish.vo.votable import Field, field_element, to_votable, votable_error
from becat.schema.sphere import separation_deg

ROWS = 5_000
ROWS_MAX = 50_000
RANGES_MAX = 20
SIZE_DEG = 0.2
M_PER_A = 1e-10
MJD_ZERO = datetime(1858, 11, 17)
OPEN = {"access-control-allow-origin": "*"}
VOTABLE = "application/x-votable+xml"
MIME = {"votable": VOTABLE, "fits": "application/fits"}
ENDING = {"votable": "vot", "fits": "fits"}
FORMATS = {
    "all": ("votable", "fits"), "": ("votable", "fits"), "compliant": ("votable", "fits"), "native": ("fits",),
    "votable": ("votable",), VOTABLE: ("votable",), "text/xml": ("votable",), "fits": ("fits",),
    "application/fits": ("fits",), "image/fits": ("fits",), "graphic": (), "metadata": (),
}  # fmt: skip
SQL = """
    select spectrum_id, star_id, star.designation, spectrum.ra_deg, spectrum.dec_deg, survey, mjd, exposure_time_s, snr_r,
        resolving_power, spectrum.is_simulated, start_a, step_a, json_array_length(flux) as n_pixels
    from halpha_profile join spectrum using (spectrum_id) join star using (star_id)"""
ONE = """
    select halpha_profile.*, star.star_id, spectrum.ra_deg, spectrum.dec_deg, survey, mjd, exposure_time_s, spectrum.is_simulated,
        star.designation
    from halpha_profile join spectrum using (spectrum_id) join star using (star_id) where spectrum_id = :spectrum"""
FIELDS = [
    Field("access_url", "text", "", "meta.ref.url", "Address of the spectrum", "ssa:Access.Reference"),
    Field("access_format", "text", "", "meta.code.mime", "Its format", "ssa:Access.Format"),
    Field("access_size", "long", "kbyte", "phys.size;meta.file", "Its size, roughly", "ssa:Access.Size"),
    Field("title", "text", "", "meta.title;meta.dataset", "What it is", "ssa:DataID.Title"),
    Field("spectrum_id", "long", "", "meta.id;meta.main", "Spectrum in the tables of this site", "ssa:DataID.CreatorDID"),
    Field("star_id", "long", "", "meta.id", "Star in the tables of this site"),
    Field("target_name", "text", "", "meta.id;src", "Designation of the star", "ssa:Target.Name"),
    Field("position", "pair", "deg", "pos.eq", "Right ascension and declination, ICRS",
          "ssa:Char.SpatialAxis.Coverage.Location.Value"),
    Field("target_position", "pair", "deg", "pos.eq;src", "Position of the star, ICRS", "ssa:Target.Pos"),
    Field("ra_deg", "double", "deg", "pos.eq.ra;meta.main", "Right ascension, ICRS"),
    Field("dec_deg", "double", "deg", "pos.eq.dec;meta.main", "Declination, ICRS"),
    Field("aperture_deg", "double", "deg", "instr.fov", "Diameter of the fibre", "ssa:Char.SpatialAxis.Coverage.Bounds.Extent"),
    Field("mjd", "double", "d", "time.epoch", "Middle of the exposure, modified Julian date",
          "ssa:Char.TimeAxis.Coverage.Location.Value"),
    Field("observed_at", "text", "", "time;meta.dataset", "The same in ISO 8601, UTC", "ssa:DataID.Date"),
    Field("exposure_time_s", "double", "s", "time.duration;obs.exposure", "Exposure time",
          "ssa:Char.TimeAxis.Coverage.Bounds.Extent"),
    Field("band_middle_m", "double", "m", "em.wl;instr.bandpass", "Middle of the band",
          "ssa:Char.SpectralAxis.Coverage.Location.Value"),
    Field("band_width_m", "double", "m", "em.wl;instr.bandwidth", "Width of the band",
          "ssa:Char.SpectralAxis.Coverage.Bounds.Extent"),
    Field("band_start_m", "double", "m", "em.wl;stat.min", "Shortest wavelength", "ssa:Char.SpectralAxis.Coverage.Bounds.Start"),
    Field("band_stop_m", "double", "m", "em.wl;stat.max", "Longest wavelength", "ssa:Char.SpectralAxis.Coverage.Bounds.Stop"),
    Field("resolving_power", "double", "", "spect.resolution", "Resolving power", "ssa:Char.SpectralAxis.ResPower"),
    Field("length", "long", "", "meta.number", "Number of pixels", "ssa:Dataset.Length"),
    Field("snr", "double", "", "stat.snr", "Signal-to-noise ratio of the red arm", "ssa:Derived.SNR"),
    Field("instrument", "text", "", "meta.id;instr", "Survey", "ssa:DataID.Instrument"),
    Field("is_simulated", "boolean", "", "meta.code", "The spectrum is simulated"),
]  # fmt: skip
SAME_FOR_ALL = (
    ("data_model", "ssa:Dataset.DataModel", "Spectrum-1.1"),
    ("data_type", "ssa:Dataset.Type", "Spectrum"),
    ("collection", "ssa:DataID.Collection", "becat: rectified H-alpha profiles of LAMOST spectra"),
    ("creation_type", "ssa:DataID.CreationType", "archival"),
    ("publisher", "ssa:Curation.Publisher", "becat"),
    ("space_frame", "ssa:CoordSys.SpaceFrame.Name", "ICRS"),
    ("flux_ucd", "ssa:Char.FluxAxis.Ucd", "phot.flux.density;em.wl"),
    ("flux_calibration", "ssa:Char.FluxAxis.Calibration", "NORMALIZED"),
    ("spectral_ucd", "ssa:Char.SpectralAxis.Ucd", "em.wl"),
    ("spectral_unit", "ssa:Char.SpectralAxis.Unit", "Angstrom"),
)
INPUTS = (
    ("POS", "text", "", "Right ascension and declination in degrees, ICRS, separated by a comma"),
    ("SIZE", "double", "deg", f"Diameter of the circle around POS, degrees; {SIZE_DEG} by default"),
    ("BAND", "text", "m", "Wavelengths in metres: one, or a range such as 6.5e-7/6.6e-7"),
    ("TIME", "text", "", "Times in ISO 8601: one, or a range such as 2015-01-01/2016-06-30"),
    ("FORMAT", "text", "", "all, compliant, votable, fits, native, graphic (there are none) or metadata"),
    ("TARGETNAME", "text", "", "Designation of a star"),
    ("MAXREC", "long", "", f"Most rows to give; {ROWS} by default, {ROWS_MAX} at most"),
)


class Mistake(Exception):
    """A request that cannot be understood; the message says why."""


@hookimpl
def register_routes():
    return [
        (r"^/ssa/?$", query_data),
        (r"^/ssa/capabilities$", capabilities),
        (r"^/ssa/availability$", availability),
        (r"^/ssa/spectrum/(?P<spectrum>-?\d{1,18})\.(?P<ending>vot|fits)$", spectrum),
    ]


async def query_data(datasette, request):
    """Which profiles there are at a position, in a band, at a time."""
    asked = {name.upper(): request.args[name] for name in request.args}
    try:
        formats = _formats(asked)
        keep = [_at_position(asked), _in_band(asked), _at_time(asked), _named(asked)]
        most = _most(asked.get("MAXREC") or asked.get("TOP"))
    except Mistake as error:
        return Response(votable_error(str(error), [PROTOCOL]), content_type=VOTABLE, headers=OPEN)
    if asked.get("FORMAT", "").lower() == "metadata":
        return _answer([], described=True)
    address = datasette.absolute_url(request, datasette.urls.path("/ssa/spectrum"))

    def answer(profiles: list[dict]) -> Response:
        found = [row for row in profiles if all(test(row) for test in keep)]
        shown = [(row, kind) for row in found[: most + 1] for kind in formats]
        return _answer([_cells(row, address, kind) for row, kind in shown[:most]], overflow=len(shown) > most)

    return await made_of(snapshot_of(datasette), SQL, answer, limit=1_000_000)


PROTOCOL = ("SERVICE_PROTOCOL", "1.1")


def _answer(cells: list, *, overflow: bool = False, described: bool = False) -> Response:
    inputs = [
        field_element(Field(f"INPUT:{name}", kind, unit, "", note), "PARAM", "") for name, kind, unit, note in INPUTS
    ]
    params = [field_element(Field(name, "text", utype=utype), "PARAM", value) for name, utype, value in SAME_FOR_ALL]
    body = to_votable(
        FIELDS, cells, name="halpha_profile", description="H-alpha profiles", infos=[PROTOCOL], overflow=overflow,
        extra="\n".join(inputs) if described else "", params="\n".join(params),
    )  # fmt: skip
    return Response(body, content_type=VOTABLE, headers=OPEN)


def _formats(asked: dict[str, str]) -> tuple[str, ...]:
    if asked.get("REQUEST", "queryData").lower() != "querydata":
        raise Mistake(f"REQUEST must be queryData, not {asked['REQUEST']}")
    if asked.get("VERSION", "1.1") not in ("1.0", "1.04", "1.1"):
        raise Mistake(f"this is version 1.1 of SSA, not {asked['VERSION']}")
    words = asked.get("FORMAT", "all").lower().replace(" ", "").split(",")
    wrong = [word for word in words if word not in FORMATS]
    if wrong:
        raise Mistake(f"no format {wrong[0]} here; there are {', '.join(word for word in FORMATS if word)}")
    return tuple(kind for kind in ("votable", "fits") if any(kind in FORMATS[word] for word in words))


def _most(asked: str | None) -> int:
    if asked is None or not asked.strip():
        return ROWS
    if not asked.strip().isdecimal():
        raise Mistake(f"MAXREC must be a whole number, not {asked}")
    return min(int(asked.strip()[:9]), ROWS_MAX)


def _at_position(asked: dict[str, str]) -> Callable[[dict], bool]:
    if not asked.get("POS", "").strip():
        return lambda row: True
    words, _, frame = asked["POS"].partition(";")
    if frame.strip().upper() not in ("", "ICRS"):
        raise Mistake(f"positions are in ICRS here, not {frame}")
    ra, dec = _numbers("POS", words, 2)
    (size,) = _numbers("SIZE", asked.get("SIZE") or str(SIZE_DEG), 1)
    if abs(dec) > 90 or not 0 <= size <= 360:
        raise Mistake("the declination in POS is between -90 and 90 degrees, SIZE between 0 and 360")
    return lambda row: separation_deg(ra, dec, row["ra_deg"], row["dec_deg"]) <= size / 2


def _numbers(name: str, words: str, count: int) -> list[float]:
    try:
        found = [float(word) for word in words.split(",")]
    except ValueError:
        found = []
    if len(found) != count or not all(abs(number) < 1e9 for number in found):
        raise Mistake(f"{name} must be {count} number{'s' * (count > 1)}, not {words}")
    return found


def _ranges(name: str, text: str, read: Callable[[str], float]) -> list[tuple[float, float]]:
    """Ranges such as 1/2, 1/, /2 or 3, with commas between them."""
    found = []
    parts = text.split(";")[0].split(",")
    if len(parts) > RANGES_MAX:
        raise Mistake(f"{name} may have {RANGES_MAX} values or ranges")
    for part in parts:
        low, slash, high = part.strip().partition("/")
        try:
            ends = read(low) if low else -1e99, (read(high) if high else 1e99) if slash else read(low)
        except (ValueError, OverflowError) as error:
            raise Mistake(f"{name} must be a value or a range with a slash, not {part}") from error
        found.append(ends)
    return found


def _in_band(asked: dict[str, str]) -> Callable[[dict], bool]:
    if not asked.get("BAND", "").strip():
        return lambda row: True
    ranges = _ranges("BAND", asked["BAND"], float)
    return lambda row: any(low <= _stop_a(row) * M_PER_A and row["start_a"] * M_PER_A <= high for low, high in ranges)


def _at_time(asked: dict[str, str]) -> Callable[[dict], bool]:
    if not asked.get("TIME", "").strip():
        return lambda row: True
    days = [(low, high + 1 if low == high else high) for low, high in _ranges("TIME", asked["TIME"], _mjd)]
    return lambda row: row["mjd"] is not None and any(low <= row["mjd"] <= high for low, high in days)


def _mjd(text: str) -> float:
    """Modified Julian date of a time in ISO 8601, UTC unless it says otherwise; a year or a month alone is its beginning."""
    moment = datetime.fromisoformat(text if len(text) > 7 else f"{text}-01-01"[:10])
    if moment.tzinfo is not None:
        moment = moment.astimezone(UTC).replace(tzinfo=None)
    return (moment - MJD_ZERO) / timedelta(days=1)


def _named(asked: dict[str, str]) -> Callable[[dict], bool]:
    name = asked.get("TARGETNAME", "").strip().lower()
    return lambda row: not name or (row["designation"] or "").lower() == name


def _stop_a(row: dict) -> float:
    return row["start_a"] + row["step_a"] * (row["n_pixels"] - 1)


def _cells(row: dict, address: str, kind: str) -> list:
    start, stop = row["start_a"] * M_PER_A, _stop_a(row) * M_PER_A
    position = f"{row['ra_deg']!r} {row['dec_deg']!r}"
    return [
        f"{address}/{row['spectrum_id']}.{ENDING[kind]}", MIME[kind], row["n_pixels"] * (60 if kind == "votable" else 16) // 1000 + 6,
        f"H-alpha of {spectra.star_name(row)}", row["spectrum_id"], row["star_id"], row["designation"],
        position, position, row["ra_deg"], row["dec_deg"], spectra.FIBRE_DEG, row["mjd"], _iso(row["mjd"]),
        row["exposure_time_s"], (start + stop) / 2, stop - start, start, stop, row["resolving_power"], row["n_pixels"],
        row["snr_r"], row["survey"], row["is_simulated"],
    ]  # fmt: skip


def _iso(mjd: float | None) -> str | None:
    return None if mjd is None else (MJD_ZERO + timedelta(days=mjd)).isoformat(sep=" ", timespec="seconds")


async def spectrum(datasette, request):
    """One profile."""
    found = await first(snapshot_of(datasette), ONE, {"spectrum": int(request.url_vars["spectrum"])})
    if found is None:
        raise NotFound("This snapshot holds no profile of that spectrum")
    name = f"halpha_{found['spectrum_id']}"
    if request.url_vars["ending"] == "vot":
        body, mime = spectra.as_votable(found), VOTABLE
    else:
        body, mime = spectra.as_fits(found), "application/fits"
    attached = {"content-disposition": f'attachment; filename="{name}.{request.url_vars["ending"]}"'}
    return Response(body, content_type=mime, headers=OPEN | attached)


async def capabilities(datasette, request):
    """What the service can do."""
    address = datasette.absolute_url(request, datasette.urls.path("/ssa"))
    return Response(vosi.spectral_capabilities(address, ROWS, ROWS_MAX), content_type="text/xml", headers=OPEN)


async def availability():
    """That the service is up."""
    return Response(vosi.availability(), content_type="text/xml", headers=OPEN)
