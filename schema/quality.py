"""What was done to a spectrum, and what was wrong with it, as bits of an integer."""

from __future__ import annotations

from enum import IntFlag

__all__ = ["DESCRIPTIONS", "PixelMask", "Quality"]


class PixelMask(IntFlag):
    """Why a pixel of the grid has no inverse variance."""

    BAD_IN_FILE = 1
    COSMIC_RAY = 2
    NO_DATA = 4
    SKY_RESIDUAL = 8


class Quality(IntFlag):
    """Bits of the column ``spectrum.quality``."""

    COSMIC_RAYS_REMOVED = 1
    CONTINUUM_DOUBTFUL = 2
    SNR_ESTIMATED = 4
    NO_BLUE_ARM = 8
    NO_POSITION = 16
    WAVELENGTH_SORTED = 32
    AIR_CONVERTED = 64
    IVAR_ESTIMATED = 128
    FEW_GOOD_PIXELS = 256
    DOUBTFUL_HALPHA_COVERAGE = 512
    EMISSION_RESTORED = 1024
    POSITION_DOUBTFUL = 2048
    EPOCH_DOUBTFUL = 4096
    CHECKSUM_STALE = 8192
    HOLES_BRIDGED = 16384
    CONTINUUM_IN_WINGS = 32768
    OWN_CONTINUUM_KEPT = 65536
    NO_CONTINUUM = 131072


# By name: the values of the two kinds of bits are the same numbers.
DESCRIPTIONS: dict[str, str] = {
    "BAD_IN_FILE": "The file flags the pixel, or its flux or inverse variance cannot be used; flux interpolated",
    "COSMIC_RAY": "A cosmic ray was removed; flux interpolated",
    "NO_DATA": "The file has no data here, or a gap longer than 5 Angstrom, or no continuum to divide by; flux is NaN",
    "SKY_RESIDUAL": "A residual of a night-sky line; flux interpolated",
    "COSMIC_RAYS_REMOVED": "At least one cosmic ray was removed",
    "CONTINUUM_DOUBTFUL": "The continuum is poorly constrained: near zero, few line-free pixels, or no data on one"
    " side of H-alpha",
    "SNR_ESTIMATED": "The signal-to-noise ratio was estimated from the spectrum, not read from the file or catalogue",
    "NO_BLUE_ARM": "There is no blue arm",
    "NO_POSITION": "The file gives no position",
    "WAVELENGTH_SORTED": "The wavelengths of the file did not ascend and were sorted",
    "AIR_CONVERTED": "The wavelengths of the file were in air and were converted to vacuum",
    "IVAR_ESTIMATED": "The file has no inverse variance; it was estimated from the scatter of the flux",
    "FEW_GOOD_PIXELS": "Less than 90 % of the pixels of the band that is measured are good (red: 6530-6590, blue:"
    " 5160-5193 Angstrom)",
    "DOUBTFUL_HALPHA_COVERAGE": "The data do not cover 6530-6590 Angstrom completely",
    "EMISSION_RESTORED": "The file has no inverse variance across an H-alpha emission line that is wider than any"
    " cosmic ray: it was taken from the neighbourhood, with photon noise",
    "POSITION_DOUBTFUL": "The header's position cannot be taken as it stands: it contradicts itself and was left out, or"
    " its equinox is the epoch of observation and it was not precessed",
    "EPOCH_DOUBTFUL": "The header has dates, but they contradict each other or give no time of day: there is no epoch",
    "CHECKSUM_STALE": "A checksum in the header is older than the last change of the file, and does not agree with it",
    "HOLES_BRIDGED": "Less than 90 % of the pixels of the band that is measured are good, but no gap is longer than 3"
    " Angstrom: lines were drawn over the holes, and the spectrum is measured",
    "CONTINUUM_IN_WINGS": "The data reach so little beyond H-alpha that the continuum is laid through the line's wings:"
    " the error of the width says how uncertain that is",
    "OWN_CONTINUUM_KEPT": "The spectrum came normalised and reaches so little beyond H-alpha that its own continuum was kept",
    "NO_CONTINUUM": "No continuum could be fitted: fewer than 4 Angstrom of data on a side of the line that is measured,"
    " or a level that is not above zero; nothing is measured",
}
