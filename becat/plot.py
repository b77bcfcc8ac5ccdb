"""The picture of one spectrum: H-alpha with its error, smoothed profile, peaks and numbers, above both arms."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from matplotlib.transforms import blended_transform_factory

from becat.arm import Arm, Smoothed
from becat.etl.readers import RawArm
from becat.publish.report.figures.panels import WINDOW_A, draw_profile
from becat.publish.report.style import BLUE, GREEN, INK, ORANGE, QUIET, RC, RED, plain
from becat.rows import Row
from becat.schema.errors import BecatError
from becat.schema.grid import ARMS
from becat.schema.lines import LINES
from becat.schema.quality import PixelMask
from becat.schema.words import counted

__all__ = ["Picture", "Profile", "draw_halpha", "name_of_picture", "picture", "save"]

SIZE_IN = (7.2, 6.2)
DOTS_PER_INCH = 150
NAME_BYTES_MAX = 200  # of the 255 of a file system
LINE_WIDTH_CHARACTERS = 118
LEGEND = {"handlelength": 1.2, "columnspacing": 1.2, "borderaxespad": 0.2}
HEADROOM = 0.2  # of the height of the panel, for the numbers


class Picture(Figure):
    """A figure of matplotlib that a notebook shows, whether or not pyplot was imported."""

    def _repr_png_(self) -> bytes:
        png = io.BytesIO()
        self.savefig(png, format="png", dpi=DOTS_PER_INCH)
        return png.getvalue()


@dataclass(frozen=True)
class Profile:
    """What is drawn of H-alpha: the red arm, what was measured, the smoothed profile, and the band of the width, Angstrom."""

    red: Arm
    measured: Row
    smoothed: Smoothed | None
    band_a: tuple[float, float]


def picture(
    title: str, halpha: Profile, arms: Mapping[str, Arm], mgb_band_a: tuple[float, float], remarks: Sequence[str] = ()
) -> Picture:
    """Draw a spectrum: H-alpha above, the arms below.

    Parameters
    ----------
    title : str
    halpha : Profile
    arms : mapping of str to Arm
    mgb_band_a : (float, float)
        Band of EW(Mg b), Angstrom.
    remarks : sequence of str
        Sentences to stand below.
    """
    with mpl.rc_context(RC):  # pyright: ignore[reportArgumentType]
        figure = Picture(figsize=SIZE_IN, layout="constrained")
        panels = figure.add_gridspec(2, len(arms), height_ratios=(1.7, 1))
        above = figure.add_subplot(panels[0, :])
        draw_halpha(above, halpha)
        above.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=8, **LEGEND)
        for place, name in enumerate(sorted(arms)):
            axes = figure.add_subplot(panels[1, place])
            _draw_arm(axes, arms[name])
            _draw_band(axes, mgb_band_a if name == "blue" else halpha.band_a)
        figure.suptitle(plain(title), fontsize=9)
        lines = textwrap.wrap(". ".join(remarks), LINE_WIDTH_CHARACTERS)
        figure.supxlabel("\n".join(("vacuum wavelength / Å", *map(plain, lines))), fontsize=8)
    return figure


def name_of_picture(name: str, ending: str) -> Path:
    """A file in this folder that is called as a star or a spectrum, whatever their names hold.

    Parameters
    ----------
    name : str
        What cannot be printed becomes _, folders are left out, and so is what is too long for a name.
    ending : str
        Of the file, such as ``.png``.
    """
    printable = "".join(letter if letter.isprintable() else "_" for letter in name)
    short = Path(printable).name.encode()[:NAME_BYTES_MAX].decode(errors="ignore")
    return Path(f"{short or 'spectrum'}{ending}")


def save(drawn: Figure, path: str | Path) -> None:
    """Write a picture; the ending of the name says which kind.

    Raises
    ------
    BecatError
        It cannot be written there, or there is no such kind.
    """
    path = Path(path)
    known = drawn.canvas.get_supported_filetypes()
    if path.suffix[1:].lower() not in known:
        raise BecatError(f"{path}: the name of a picture must end in .png, .pdf or .svg")
    try:
        with mpl.rc_context(RC):  # pyright: ignore[reportArgumentType]
            drawn.savefig(path, dpi=DOTS_PER_INCH)
    except OSError as error:
        raise BecatError(f"{path} cannot be written: {error.strerror or error}") from None


def draw_halpha(axes, profile: Profile) -> None:
    """H-alpha in one panel: flux, error, smoothed profile, peaks, the band of the width, and the numbers in words."""
    red = profile.red
    inside = (red.wavelength_a >= WINDOW_A[0]) & (red.wavelength_a <= WINDOW_A[1])
    axes.set(ylabel="flux / continuum", xlim=WINDOW_A)
    _draw_band(axes, profile.band_a, "band of EW(Hα)")
    good = inside & (red.ivar > 0)
    if good.any():
        draw_profile(axes, red.wavelength_a[inside], np.where(good, red.flux, np.nan)[inside])
        _draw_errors(axes, red, inside)
    else:
        axes.text(0.5, 0.5, "no good pixel here", transform=axes.transAxes, ha="center", color=QUIET)
    if profile.smoothed is not None:
        _draw_smoothed(axes, profile.smoothed, inside & np.isfinite(red.flux))
    low, high = axes.get_ylim()
    axes.set_ylim(low, high + HEADROOM * (high - low))
    _name_halpha(axes)
    words = "\n".join(_numbers(profile.measured))
    axes.text(0.01, 0.97, words, transform=axes.transAxes, va="top", fontsize=8, linespacing=1.4)


def _name_halpha(axes) -> None:
    rest_a = LINES["halpha"].wavelength_a
    axes.axvline(rest_a, color=QUIET, lw=0.6, ls=":", zorder=0)
    axes.annotate(
        "Hα",
        (rest_a, 0.01),
        (2, 0),
        xycoords=axes.get_xaxis_transform(),
        textcoords="offset points",
        color=QUIET,
        fontsize=7,
    )


def _draw_errors(axes, red: Arm, inside: np.ndarray) -> None:
    """One standard error on both sides, and the flux that stands for masked pixels."""
    wavelength_a, flux, ivar = red.wavelength_a[inside], red.flux[inside].astype(float), red.ivar[inside]
    error = np.full(flux.shape, np.nan)
    np.divide(1.0, np.sqrt(ivar, dtype=float), out=error, where=ivar > 0)
    axes.fill_between(wavelength_a, flux - error, flux + error, step="mid", color=INK, alpha=0.18, lw=0, label="± 1σ")
    masked = ~(ivar > 0) & np.isfinite(flux)
    if masked.any():
        axes.plot(wavelength_a[masked], flux[masked], "x", ms=3, color=ORANGE, mew=0.8, ls="none", label="masked")


def _draw_smoothed(axes, smoothed: Smoothed, shown: np.ndarray) -> None:
    flux = np.where(shown, smoothed.flux, np.nan)
    axes.plot(smoothed.wavelength_a, flux, color=RED, lw=1.0, label=f"smoothed ({smoothed.width_px} px)")
    for a, value, marker, colour, name in (
        (smoothed.peak_wavelength_a, smoothed.peak_flux, "^", BLUE, "peak"),
        (smoothed.valley_wavelength_a, smoothed.valley_flux, "v", GREEN, "valley"),
    ):
        if a.size:
            axes.plot(a, value, marker, ms=4.5, color=colour, mec="white", mew=0.4, ls="none", label=name, zorder=4)


def _draw_band(axes, band_a: tuple[float, float], words: str | None = None) -> None:
    """The band over which an equivalent width is taken."""
    axes.axvspan(*band_a, color=BLUE, alpha=0.07, lw=0, zorder=0, label=words)


def _draw_arm(axes, arm: Arm) -> None:
    """The whole arm: as its file has it with the continuum that was divided out, or rectified where the file is not there."""
    continuum = arm.continuum
    axes.set_title(f"{arm.name} arm")
    if arm.raw is None or continuum is None:
        axes.plot(arm.wavelength_a, np.where(arm.ivar > 0, arm.flux, np.nan), color=INK, lw=0.5)
        axes.axhline(1, color=RED, lw=0.8, label="continuum")
        axes.set_ylabel("flux / continuum")
    else:
        _draw_raw(axes, arm.raw)
        axes.plot(arm.wavelength_a, continuum, color=RED, lw=1.0, label="continuum")
        axes.set_ylabel("flux / (file's unit)")
    _mark_cosmic_rays(axes, arm)
    seen = np.isfinite(arm.flux)
    if seen.any():
        axes.set_xlim(arm.wavelength_a[seen][0] - 5, arm.wavelength_a[seen][-1] + 5)
        _fit_height(axes, arm, continuum)
    axes.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=4, **LEGEND)


def _draw_raw(axes, raw: RawArm) -> None:
    """Flux of the file; where it flags pixels in another colour, joined to their neighbours."""
    axes.plot(raw.wavelength_a, np.where(raw.bad, np.nan, raw.flux), color=INK, lw=0.5)
    beside = raw.bad.copy()
    beside[1:] |= raw.bad[:-1]
    beside[:-1] |= raw.bad[1:]
    grid = ARMS[raw.arm]
    beside &= (raw.wavelength_a >= grid.wavelength_a[0]) & (raw.wavelength_a <= grid.wavelength_a[-1])
    if beside.any():
        axes.plot(raw.wavelength_a, np.where(beside, raw.flux, np.nan), color=ORANGE, lw=0.6, label="flagged")


def _fit_height(axes, arm: Arm, continuum: np.ndarray | None) -> None:
    """Limits that a few outliers do not decide, but the line does."""
    shown = np.where(arm.ivar > 0, arm.flux * (1 if continuum is None else continuum), np.nan)
    if np.isfinite(shown).any():
        low, high = np.nanpercentile(shown, 0.1), np.nanmax(shown)
        axes.set_ylim(low - 0.12 * (high - low), high + 0.12 * (high - low))


def _mark_cosmic_rays(axes, arm: Arm) -> None:
    hit = (arm.mask & PixelMask.COSMIC_RAY) != 0
    if hit.any():
        top = blended_transform_factory(axes.transData, axes.transAxes)
        axes.plot(arm.wavelength_a[hit], np.full(hit.sum(), 0.96), "v", ms=3, color=ORANGE, mew=0, ls="none",
                  transform=top, label="cosmic ray")  # fmt: skip


def _numbers(measured: Row) -> list[str]:
    """What was measured of H-alpha, a line each."""
    width = f"EW(Hα) = {measured.words('ew_halpha_a')}" if "reason" not in measured else "EW(Hα) not measured"
    kind = ", ".join(filter(None, (measured["profile_class"], measured["profile_type"])))
    n, above_noise = measured["n_peaks"], measured["n_emission_peaks"]
    peaks = "peaks not counted" if n is None else f"{counted(n, 'peak')} after smoothing"
    return [
        width,
        kind or "profile not classified",
        f"{peaks}, {above_noise} above the noise" if above_noise else peaks,
    ]
