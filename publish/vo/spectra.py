"""One H-alpha profile as the Virtual Observatory's spectrum: VOTable and FITS of the Spectrum data model 1.1."""

from __future__ import annotations

import json
from collections.abc import Mapping

from becat.publish.vo.fits_table import to_fits
from becat.publish.vo.votable import Field, field_element, to_votable

__all__ = ["FIBRE_DEG", "as_fits", "as_votable", "wavelengths_a"]

FIBRE_DEG = 3.3 / 3600  # LAMOST: Cui et al. 2012, RAA 12, 1197
FIELDS = [
    Field("wavelength_a", "double", "Angstrom", "em.wl", "Vacuum wavelength", "spec:Spectrum.Data.SpectralAxis.Value"),
    Field(
        "flux", "double", "", "phot.flux.density;em.wl", "Rectified flux: the continuum is 1", "spec:Spectrum.Data.FluxAxis.Value"
    ),
]  # fmt: skip
NOTE = "Rectified H-alpha profile; the Doppler motion of the Earth has been removed, that of the star has not"


def wavelengths_a(profile: Mapping) -> list[float]:
    """Vacuum wavelengths of a row of ``halpha_profile``, Angstrom."""
    return [profile["start_a"] + profile["step_a"] * pixel for pixel in range(len(json.loads(profile["flux"])))]


def star_name(profile: Mapping) -> str:
    """Designation of the star, or its number where it has none."""
    return profile["designation"] or f"star {profile['star_id']}"


def _rows(profile: Mapping) -> list[tuple[float, float | None]]:
    return list(zip(wavelengths_a(profile), json.loads(profile["flux"]), strict=True))


def _parameters(profile: Mapping) -> list[tuple[Field, str]]:
    """What the data model wants to know of a spectrum as a whole."""
    wavelengths = wavelengths_a(profile)
    texts = (
        ("data_model", "Dataset.DataModel", "", "Spectrum-1.1"),
        ("data_type", "Dataset.Type", "", "Spectrum"),
        ("title", "DataID.Title", "meta.title;meta.dataset", f"H-alpha of {star_name(profile)}"),
        ("target_name", "Target.Name", "meta.id;src", star_name(profile)),
        ("collection", "DataID.Collection", "", profile["survey"]),
        ("publisher", "Curation.Publisher", "meta.curation", "becat"),
        ("space_frame", "CoordSys.SpaceFrame.Name", "", "ICRS"),
        ("flux_calibration", "Char.FluxAxis.Calibration", "", "NORMALIZED"),
    )
    numbers = (
        ("mjd", "Char.TimeAxis.Coverage.Location.Value", "time.epoch", "d", profile["mjd"]),
        ("exposure_time_s", "Char.TimeAxis.Coverage.Bounds.Extent", "time.duration", "s", profile["exposure_time_s"]),
        ("aperture_deg", "Char.SpatialAxis.Coverage.Bounds.Extent", "instr.fov", "deg", FIBRE_DEG),
        ("start_a", "Char.SpectralAxis.Coverage.Bounds.Start", "em.wl;stat.min", "Angstrom", wavelengths[0]),
        ("stop_a", "Char.SpectralAxis.Coverage.Bounds.Stop", "em.wl;stat.max", "Angstrom", wavelengths[-1]),
    )  # fmt: skip
    position = f"{profile['ra_deg']!r} {profile['dec_deg']!r}"
    found = [(Field(name, "text", "", ucd, "", f"spec:Spectrum.{utype}"), text) for name, utype, ucd, text in texts]
    found += [
        (Field(name, "double", unit, ucd, "", f"spec:Spectrum.{utype}"), repr(number))
        for name, utype, ucd, unit, number in numbers
        if number is not None
    ]
    return [
        *found,
        (
            Field("position", "pair", "deg", "pos.eq", "", "spec:Spectrum.Char.SpatialAxis.Coverage.Location.Value"),
            position,
        ),
    ]


def as_votable(profile: Mapping) -> str:
    """A profile as VOTable.

    Parameters
    ----------
    profile : mapping
        A row of ``halpha_profile`` joined with its ``spectrum``.
    """
    params = "\n".join(field_element(field, "PARAM", value) for field, value in _parameters(profile))
    name = f"halpha_{profile['spectrum_id']}"
    return to_votable(FIELDS, _rows(profile), name=name, description=NOTE, params=params, utype="spec:Spectrum")


def as_fits(profile: Mapping) -> bytes:
    """A profile as a FITS binary table; the parameters are those of `as_votable`."""
    cards = {
        "VOCLASS": "SPECTRUM 1.1", "OBJECT": ascii(star_name(profile))[1:-1][:68], "RA": profile["ra_deg"],
        "DEC": profile["dec_deg"], "TMID": profile["mjd"], "SIMULAT": bool(profile["is_simulated"]),
    }  # fmt: skip
    present = {key: value for key, value in cards.items() if value is not None}
    return to_fits(FIELDS, _rows(profile), name="HALPHA", cards=present)
