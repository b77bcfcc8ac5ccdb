"""Every table of the catalogue: the one place for names, types, units, UCDs and descriptions.

Documentation, Datasette's metadata, the VOTable fields and the SQLite snapshot are made from here.
A column's unit is written in the VOUnits style ("deg", "Angstrom", "km.s**-1"), "" where it has none;
its UCD comes from the UCD1+ controlled vocabulary.
"""

from __future__ import annotations

from duckdb_sqlalchemy.datatypes import FixedArray, UTinyInteger
from sqlalchemy import (
    REAL,
    TIMESTAMP,
    BigInteger,
    Boolean,
    Column,
    Double,
    Integer,
    MetaData,
    Table,
    Text,
)

from becat.schema.grid import BLUE, RED

__all__ = ["METADATA", "TABLES", "column_info"]

METADATA = MetaData()


def _col(name, type_, comment, unit="", ucd="", *, key=False, required=False, refers=None):
    """A column with its description; `refers` names the column it points to (not enforced by DuckDB)."""
    info = {"unit": unit, "ucd": ucd}
    if refers:
        info["refers"] = refers
    return Column(
        name, type_, primary_key=key, autoincrement=False, nullable=not (key or required), comment=comment, info=info
    )


def _table(name, comment, *columns):
    return Table(name, METADATA, *columns, comment=comment)


def _error(name, type_, of, unit, ucd=""):
    return _col(f"e_{name}", type_, f"Standard error of {of}", unit, f"stat.error;{ucd}" if ucd else "stat.error")


def _run():
    return _col(
        "run_id", BigInteger, "Run of becat that wrote this row", ucd="meta.id;meta.dataset", refers="etl_run.run_id"
    )


def _spectrum_key():
    return _col("spectrum_id", BigInteger, "Spectrum", ucd="meta.id;meta.main", key=True, refers="spectrum.spectrum_id")


def _star_key(key=True):
    return _col("star_id", BigInteger, "Star", ucd="meta.id", key=key, required=True, refers="star.star_id")


def _flux_table(arm, n_pixels):
    return _table(
        f"flux_{arm}",
        f"Rectified spectra of the {arm} arm on the uniform vacuum grid of wavelength_grid, one array of"
        f" {n_pixels} pixels per spectrum",
        _spectrum_key(),
        _col(
            "flux",
            FixedArray(REAL, n_pixels),
            "Rectified flux (continuum = 1); NaN where the file has no data",
            "",
            "phot.flux;arith.ratio",
        ),
        _col(
            "ivar",
            FixedArray(REAL, n_pixels),
            "Inverse variance of the rectified flux; zero where the pixel must not be used",
            "",
            "stat.weight",
        ),
        _col(
            "mask",
            FixedArray(UTinyInteger, n_pixels),
            "Why a pixel must not be used, as bits: see docs/quality.md",
            "",
            "meta.code.qual",
        ),
        _col(
            "checksum",
            BigInteger,
            "CRC-32 of spectrum_id, flux, ivar and mask as they were written; NULL if an older becat wrote them",
            "",
            "meta.checksum",
        ),
        _run(),
    )


def _signal_to_noise():
    return (
        _col("snr_b", REAL, "Signal-to-noise ratio per pixel, blue arm (LRS: g band)", "", "stat.snr;em.opt.B"),
        _col("snr_r", REAL, "Signal-to-noise ratio per pixel, red arm (LRS: r band)", "", "stat.snr;em.opt.R"),
    )


def _stellar_parameters():
    """What a release's pipeline says about a star."""
    return (
        _col(
            "teff_k",
            REAL,
            "Effective temperature from the release's pipeline (LASP)",
            "K",
            "phys.temperature.effective",
        ),
        _error("teff_k", REAL, "teff_k", "K", "phys.temperature.effective"),
        _col("logg_dex", REAL, "Surface gravity from LASP, log10(cm s-2)", "dex(cm.s**-2)", "phys.gravity"),
        _col("feh_dex", REAL, "Metallicity [Fe/H] from LASP", "dex", "phys.abund.Z"),
        _col(
            "rv_km_s",
            REAL,
            "Heliocentric radial velocity from the release: the first that is not flagged, in the order of docs/formats.md",
            "km.s**-1",
            "spect.dopplerVeloc.opt",
        ),
        _error("rv_km_s", REAL, "rv_km_s", "km.s**-1", "spect.dopplerVeloc.opt"),
        _col(
            "rv_corrected_km_s",
            REAL,
            "The same velocity with the release's zero point of the spectrograph added (rv_br1 instead of rv_br0); NULL if it gives none",
            "km.s**-1",
            "spect.dopplerVeloc.opt",
        ),
        _col("vsini_km_s", REAL, "Projected rotational velocity from LASP", "km.s**-1", "phys.veloc.rotat"),
        _error("vsini_km_s", REAL, "vsini_km_s", "km.s**-1", "phys.veloc.rotat"),
        _col("gaia_source_id", BigInteger, "Gaia source_id given by the release", ucd="meta.id.cross"),
        _col(
            "fibermask", BigInteger, "Problems of the fibre, as the release gives them (0: none)", ucd="meta.code.qual"
        ),
        _col("bad_b", BigInteger, "Flag of the blue arm, as the release gives it (0: none)", ucd="meta.code.qual"),
        _col("bad_r", BigInteger, "Flag of the red arm, as the release gives it (0: none)", ucd="meta.code.qual"),
        _col(
            "moon_angle_deg", REAL, "Angular distance from the Moon, as the release gives it", "deg", "pos.angDistance"
        ),
        _col(
            "moon_flag",
            BigInteger,
            "1 if the Moon was 10 to 30 degrees away, as the release gives it",
            ucd="meta.code",
        ),
    )


SPECTRUM = _table(
    "spectrum",
    "One row per spectrum (a coadd or a single exposure, both arms together): where and when it was taken, how"
    " good it is, and what the release says about the star",
    _col(
        "spectrum_id",
        BigInteger,
        "Identifier made from obsid and exposure: the obsid itself for an MRS coadd, 10000000000 more for the LRS, obsid*1000000 + lmjm modulo 1000000"
        " for a single exposure, a negative number made from a hash if the file has no obsid",
        ucd="meta.id;meta.main",
        key=True,
    ),
    _col("star_id", BigInteger, "Star; NULL if there is no position", ucd="meta.id", refers="star.star_id"),
    _col("survey", Text, "LAMOST MRS, LAMOST LRS, or other", ucd="meta.id;instr", required=True),
    _col("release", Text, "Data release as the file names it", ucd="meta.version"),
    _col("layout", Text, "Recognised file layout: see docs/formats.md", ucd="meta.id;meta.file"),
    _col("is_simulated", Boolean, "True for a spectrum made by becat simulate", ucd="meta.code", required=True),
    _col("designation", Text, "LAMOST designation (JHHMMSS.ss+DDMMSS.s) or the object's name", ucd="meta.id;src"),
    _col("file", Text, "File from which it was read", ucd="meta.id;meta.file", required=True),
    _col("obsid", BigInteger, "LAMOST observation identifier", ucd="meta.id;obs"),
    _col("coadd", Boolean, "True for a coadd, false for a single exposure", ucd="meta.code", required=True),
    _col("lmjm", BigInteger, "Local modified Julian minute of a single exposure", "min", "time.epoch"),
    _col("plan_id", Text, "LAMOST plate plan", ucd="meta.id;obs.field"),
    _col("spectrograph", Integer, "LAMOST spectrograph number", ucd="meta.id;instr"),
    _col("fiber", Integer, "LAMOST fibre number", ucd="meta.id;instr"),
    _col("mjd", Double, "Middle of the exposures (UTC)", "d", "time.epoch"),
    _col("exposure_time_s", REAL, "Total exposure time, if the file gives it", "s", "time.duration;obs.exposure"),
    _col("n_exposures", Integer, "Number of exposures in the spectrum", ucd="meta.number;obs"),
    _col("ra_deg", Double, "Right ascension of the fibre, ICRS", "deg", "pos.eq.ra"),
    _col("dec_deg", Double, "Declination of the fibre, ICRS", "deg", "pos.eq.dec"),
    _col("has_blue", Boolean, "True if there is a blue arm (4950-5350 Angstrom)", ucd="meta.code", required=True),
    *_signal_to_noise(),
    _col("snr_source", Text, "Source of the S/N: catalogue, header, or estimated from the flux", ucd="meta.ref"),
    _col("resolving_power", REAL, "Nominal resolving power lambda/dlambda", "", "spect.resolution"),
    *_stellar_parameters(),
    _col(
        "bss_vhel_km_s",
        REAL,
        "Heliocentric velocity correction that the observer has applied to the wavelengths (BSS_VHEL); 0 if none was",
        "km.s**-1",
        "spect.dopplerVeloc.opt",
    ),
    _col(
        "bss_rqvh_km_s",
        REAL,
        "Heliocentric velocity correction still to be applied to the wavelengths (BSS_RQVH)",
        "km.s**-1",
        "spect.dopplerVeloc.opt",
    ),
    _col("bss_norm", Text, "How the observer normalised the spectrum (BSS_NORM)", ucd="meta.note"),
    _col("bss_tell", Text, "How the observer removed telluric lines (BSS_TELL)", ucd="meta.note"),
    _col(
        "quality",
        Integer,
        "What was done to the spectrum or is wrong with it, as bits: docs/quality.md",
        "",
        "meta.code.qual",
    ),
    _col(
        "good_fraction_red",
        REAL,
        "Fraction of usable red pixels in 6530-6590 Angstrom",
        "",
        "stat.value;arith.ratio",
    ),
    *(
        _col(
            f"continuum_error_{arm}",
            REAL,
            f"Relative error of the mean continuum over {band} Angstrom; part of the error of the equivalent width",
            "",
            "stat.error;spect.continuum;arith.ratio",
        )
        for arm, band in (("red", "6548-6578"), ("blue", "5160-5193"))
    ),
    _col(
        "content_hash",
        Text,
        "Hash of the arrays as read: distinguishes a copy of a spectrum from a different spectrum with the same id",
        ucd="meta.id",
    ),
    _col("reduction_version", Text, "Version of the code that reads, cleans, rectifies and grids", ucd="meta.version"),
    _run(),
)

RELEASE_ENTRY = _table(
    "release_entry",
    "What the release's own catalogues (general catalogue, stellar parameters) say about each spectrum",
    _col("survey", Text, "LAMOST MRS or LAMOST LRS, whose numbers overlap", ucd="meta.id;instr", key=True),
    _col("obsid", BigInteger, "LAMOST observation identifier", ucd="meta.id;obs", key=True),
    _col(
        "lmjm",
        BigInteger,
        "Local modified Julian minute of a single exposure; 0 for the coadd",
        "min",
        "time.epoch",
        key=True,
    ),
    *_signal_to_noise(),
    *_stellar_parameters(),
    _col("file", Text, "Catalogue file from which it came", ucd="meta.id;meta.file", key=True),
    _run(),
)

STAR = _table(
    "star",
    "One row per star: spectra within the matching radius of each other are one star, whatever their designations",
    _col(
        "star_id", BigInteger, "Star: made from the position of its first spectrum", ucd="meta.id;meta.main", key=True
    ),
    _col("designation", Text, "Designation of its first spectrum", ucd="meta.id;src"),
    _col("ra_deg", Double, "Right ascension, ICRS", "deg", "pos.eq.ra;meta.main", required=True),
    _col("dec_deg", Double, "Declination, ICRS", "deg", "pos.eq.dec;meta.main", required=True),
    _col("source_id", BigInteger, "Gaia source_id, if known", ucd="meta.id"),
    _col("is_simulated", Boolean, "True if all its spectra are simulated", ucd="meta.code", required=True),
    _run(),
)

STAR_ALIAS = _table(
    "star_alias",
    "Every designation that a star's spectra have",
    _star_key(),
    _col("designation", Text, "Designation", ucd="meta.id", key=True),
    _run(),
)

GIVEN_POSITION = _table(
    "given_position",
    "Names and positions of spectra from a table beside the files (positions.csv)",
    _col("file", Text, "File of the spectrum", ucd="meta.id;meta.file", key=True),
    _col("designation", Text, "Name of the star", ucd="meta.id;src"),
    _col("ra_deg", Double, "Right ascension, ICRS", "deg", "pos.eq.ra"),
    _col("dec_deg", Double, "Declination, ICRS", "deg", "pos.eq.dec"),
    _col("origin", Text, "Table with this entry", ucd="meta.ref"),
    _run(),
)

RESOLVED_NAME = _table(
    "resolved_name",
    "Positions that SIMBAD gave for the names of spectra without one; NULL if it does not know the name",
    _col("designation", Text, "Name that was looked up", ucd="meta.id", key=True),
    _col("main_id", Text, "SIMBAD's main name", ucd="meta.id;meta.main"),
    _col("ra_deg", Double, "Right ascension, ICRS", "deg", "pos.eq.ra"),
    _col("dec_deg", Double, "Declination, ICRS", "deg", "pos.eq.dec"),
    _run(),
)

SPECTRUM_AS_READ = _table(
    "spectrum_as_read",
    "Values in a spectrum's own file that a release's catalogue, a table of positions or SIMBAD may overrule: they"
    " apply again when these sources no longer give a value",
    _spectrum_key(),
    _col("designation", Text, "Designation or name in the file", ucd="meta.id;src"),
    _col("ra_deg", Double, "Right ascension in the file, ICRS", "deg", "pos.eq.ra"),
    _col("dec_deg", Double, "Declination in the file, ICRS", "deg", "pos.eq.dec"),
    *_signal_to_noise(),
    _col("snr_source", Text, "Source of the S/N: header, or estimated from the flux", ucd="meta.ref"),
    *_stellar_parameters(),
    _col("quality", Integer, "Quality bits from reading and reduction: docs/quality.md", "", "meta.code.qual"),
    _run(),
)

STAR_LINK = _table(
    "star_link",
    "Names whose spectra belong to a star whatever their positions (becat alias)",
    _col("designation", Text, "Name of the spectra", ucd="meta.id", key=True),
    # no reference that is checked: a star whose files are read again is gone for a moment
    _col("star_id", BigInteger, "Star to which they belong", ucd="meta.id", required=True),
    _run(),
)

WAVELENGTH_GRID = _table(
    "wavelength_grid",
    "The uniform vacuum wavelength of each pixel of the arrays of flux_red and flux_blue",
    _col("arm", Text, "red or blue", ucd="meta.id;instr", key=True),
    _col("pixel", Integer, "Position in the array, counted from 1", "pix", "pos.cartesian.x;instr.det", key=True),
    _col("wavelength_a", Double, "Vacuum wavelength of the pixel centre", "Angstrom", "em.wl", required=True),
)

FLUX_RED = _flux_table("red", RED.n_pixels)
FLUX_BLUE = _flux_table("blue", BLUE.n_pixels)


def _line_ew(name, line, band):
    return (
        _col(
            f"ew_{name}_a",
            REAL,
            f"Equivalent width of {line}, {band} (vacuum); positive in absorption; NULL if too few pixels are good",
            "Angstrom",
            "spect.line.eqWidth",
        ),
        _error(f"ew_{name}_a", REAL, f"ew_{name}_a", "Angstrom", "spect.line.eqWidth"),
    )


LINE_MEASUREMENT = _table(
    "line_measurement",
    "What was measured on each rectified spectrum",
    _spectrum_key(),
    *_line_ew("halpha", "H-alpha", "6548-6578 Angstrom"),
    *_line_ew("mgb", "the Mg I b triplet", "5160-5193 Angstrom"),
    _col(
        "n_peaks",
        Integer,
        "Local maxima in 6551-6579 Angstrom after Bartlett smoothing, including noise ripples as in the paper;"
        " n_significant_peaks of profile_class counts those above the noise",
        "",
        "meta.number;spect.line",
    ),
    _col(
        "n_valleys",
        Integer,
        "Local minima in 6551-6579 Angstrom after Bartlett smoothing",
        "",
        "meta.number;spect.line",
    ),
    _col("bartlett_width_px", Integer, "Width of the Bartlett window, in pixels of the grid", "pix", "instr.bandwidth"),
    _col("peak_wavelength_a", Double, "Wavelength of the highest peak", "Angstrom", "em.wl;spect.line"),
    _col("peak_flux", REAL, "Smoothed rectified flux at the highest peak", "", "phot.flux;arith.ratio"),
    _error("peak_flux", REAL, "peak_flux", "", "phot.flux;arith.ratio"),
    _col(
        "velocity_shift_km_s",
        REAL,
        "Velocity by which the bands were shifted (0: observed frame)",
        "km.s**-1",
        "spect.dopplerVeloc",
    ),
    _col(
        "fwhm_halpha_km_s",
        REAL,
        "Full width at half maximum of the H-alpha emission above the continuum",
        "km.s**-1",
        "spect.line.width",
    ),
    _error("fwhm_halpha_km_s", REAL, "fwhm_halpha_km_s", "km.s**-1", "spect.line.width"),
    *_line_ew("nii_6550", "[N II] 6549.86", "narrow band"),
    *_line_ew("nii_6585", "[N II] 6585.27", "narrow band"),
    *_line_ew("sii_6718", "[S II] 6718.29", "narrow band"),
    *_line_ew("sii_6733", "[S II] 6732.67", "narrow band"),
    *_line_ew("oiii_4960", "[O III] 4960.30", "narrow band"),
    *_line_ew("oiii_5008", "[O III] 5008.24", "narrow band"),
    *_line_ew("hei_6680", "He I 6679.99", "narrow band"),
    _col("nebular_significance", REAL, "Combined significance of the forbidden lines in emission", "", "stat.snr"),
    _col(
        "forbidden_line_significance",
        REAL,
        "Significance of the strongest forbidden line; negative if it is in absorption, as when nebular emission was"
        " subtracted with the sky",
        "",
        "stat.snr",
    ),
    _col(
        "water_strength",
        REAL,
        "Strength of the telluric water lines around H-alpha; 1 is that of a humid night",
        "",
        "stat.value;arith.ratio",
    ),
    _col("water_significance", REAL, "Significance of the telluric water lines", "", "stat.snr"),
    _col(
        "ew_halpha_dry_a",
        REAL,
        "EW(H-alpha) without the telluric water in its band if has_telluric_water, otherwise EW(H-alpha)",
        "Angstrom",
        "spect.line.eqWidth",
    ),
    _error("ew_halpha_dry_a", REAL, "ew_halpha_dry_a", "Angstrom", "spect.line.eqWidth"),
    _col(
        "has_telluric_water",
        Boolean,
        "True if telluric water lines are significant: they may be mistaken for cores, peaks and [N II]",
        ucd="meta.code",
    ),
    _col("measure_version", Text, "Version of the measurement code and its parameters", ucd="meta.version"),
    _run(),
)

PROFILE_CLASS = _table(
    "profile_class",
    "Morphology of the H-alpha profile, measured",
    _spectrum_key(),
    _col(
        "profile_class",
        Text,
        "emission, emission with shell, absorption with shell, or absorption",
        ucd="meta.code.class",
    ),
    _col(
        "profile_type",
        Text,
        "single peak; double symmetric; double asymmetric; narrow emission in absorption",
        ucd="meta.code.class",
    ),
    _col("shell_type", Integer, "Shell type 1-3 of Wang et al. 2022, section 4.2", ucd="meta.code.class"),
    _col("n_emission_peaks", Integer, "Emission peaks that rise above the noise", ucd="meta.number;spect.line"),
    _col(
        "violet_red_ratio",
        REAL,
        "Ratio of the heights of the violet and the red peak, above the local absorption",
        "",
        "spect.line.intensity;arith.ratio",
    ),
    _error("violet_red_ratio", REAL, "violet_red_ratio", ""),
    _col("peak_separation_km_s", REAL, "Separation of the outer emission peaks", "km.s**-1", "spect.dopplerVeloc"),
    _error("peak_separation_km_s", REAL, "peak_separation_km_s", "km.s**-1", "spect.dopplerVeloc"),
    _col("shell_fwhm_km_s", REAL, "Full width at half depth of the shell line", "km.s**-1", "spect.line.width"),
    _col(
        "shell_asymmetry", REAL, "(red - blue)/(red + blue) of the half widths of the shell line", "", "stat.asymmetry"
    ),
    _col(
        "core_flux",
        REAL,
        "Lowest rectified flux of the smoothed line; between the outer emission peaks if there are two",
        "",
        "phot.flux.density;spect.line",
    ),
    _error("core_flux", REAL, "core_flux", "", "phot.flux.density;spect.line"),
    _col(
        "has_two_cores",
        Boolean,
        "True if the ridge between two absorption cores is not emission: the two lines of a binary",
        ucd="meta.code",
    ),
    _col("evidence", Text, "What made a core a shell line", ucd="meta.note"),
    _col(
        "profile_class_on_second_look",
        Text,
        "profile_class, or 'weak emission' and similar: absorption examined again with lower thresholds, used if the classifier sees"
        " a Be star",
        ucd="meta.code.class",
    ),
    _col(
        "n_significant_peaks",
        Integer,
        "Local maxima in 6551-6579 Angstrom that rise above the noise, in the star's frame if its velocity is trusted",
        ucd="meta.number;spect.line",
    ),
    _col("profile_version", Text, "Version of the rules", ucd="meta.version"),
    _run(),
)


def _velocity(name, comment):
    return (
        _col(f"rv_{name}_km_s", REAL, comment, "km.s**-1", "spect.dopplerVeloc.opt"),
        _error(f"rv_{name}_km_s", REAL, f"rv_{name}_km_s", "km.s**-1", "spect.dopplerVeloc.opt"),
    )


RADIAL_VELOCITY = _table(
    "radial_velocity",
    "Radial velocities of each spectrum from several methods, in the frame of its wavelengths (heliocentric for LAMOST); NULL if the"
    " line does not allow it: see docs/velocities.md",
    _spectrum_key(),
    *_velocity(
        "halpha_wing",
        "Velocity of the wings of H-alpha by two Gaussians, at 25 % of the height of emission or 60 % of the depth of absorption (Schneider & Young 1980)",
    ),
    _col(
        "wing_separation_km_s",
        REAL,
        "Half the distance between the two Gaussians, which is half the width of the line there",
        "km.s**-1",
        "spect.line.width",
    ),
    _col(
        "wing_jump_km_s",
        REAL,
        "By how much the middle of the wings can jump, where noise decides which peak or core belongs to the line; NULL if it cannot",
        "km.s**-1",
        "stat.error;spect.dopplerVeloc.opt",
    ),
    _col("halpha_wing_of", Text, "emission or absorption: the line whose wings these are", ucd="meta.code"),
    *_velocity(
        "halpha_bisector",
        "Velocity of the bisector of H-alpha: mean of the midpoints at 20 to 40 % of the height of emission or 50 to 80 % of the depth of absorption",
    ),
    *_velocity("hei_6680", "Velocity of He I 6678 in absorption, by correlation with rotating stars"),
    *_velocity(
        "blue", "Velocity of the lines of the blue arm (4950-5350 Angstrom), by correlation with rotating stars"
    ),
    _col(
        "blue_template", Text, "Template that fits the blue arm best: effective temperature and v sin i", ucd="meta.id"
    ),
    *_velocity("primary", "Velocity of the stronger star if the lines of two are seen, otherwise NULL"),
    *_velocity("secondary", "Velocity of the weaker star if the lines of two are seen, otherwise NULL"),
    _col(
        "secondary_strength_ratio",
        REAL,
        "Depth of the weaker star's lines divided by that of the stronger star's lines",
        "",
        "spect.line.intensity;arith.ratio",
    ),
    _col("velocity_note", Text, "Why there is no velocity by a method, in words", ucd="meta.note"),
    _col("velocity_version", Text, "Version of the measurement code and its parameters", ucd="meta.version"),
    _run(),
)

MODEL = _table(
    "model",
    "Classifiers that have scored spectra",
    _col("model_id", Text, "First 12 hexadecimal digits of the file's SHA-256", ucd="meta.id;meta.main", key=True),
    _col("name", Text, "File name of the model", ucd="meta.id;meta.file"),
    _col("network", Text, "Which classifier it is: resnet18, profile, or both", ucd="meta.code.class"),
    _col("sha256", Text, "SHA-256 of the model file", ucd="meta.id"),
    _col("architecture", Text, "Architecture", ucd="meta.note"),
    _col("precision", Text, "Number format of the weights: fp32, fp16 or int8", ucd="meta.code"),
    _col("training_data", Text, "What it was trained on", ucd="meta.note"),
    _col("be_probability_min", REAL, "Decision threshold recommended for it", "", "stat.probability"),
    _col("is_current", Boolean, "True for the models that scored last, one for each network", ucd="meta.code"),
    _run(),
)

BE_SCORE = _table(
    "be_score",
    "Probability that the H-alpha profile is that of a Be star, by model, for spectra that pass the steps before the classifier",
    _spectrum_key(),
    _col("model_id", Text, "Model", ucd="meta.id", key=True, refers="model.model_id"),
    _col("be_probability", REAL, "Probability of Be; NULL if too few pixels are good", "", "stat.probability"),
    _col("provider", Text, "onnxruntime execution provider that ran", ucd="meta.id;meta.software"),
    _run(),
)

INSPECTION = _table(
    "inspection",
    "Judgements by eye of the candidates",
    _col("inspection_id", Text, "Identifier of the judgement", ucd="meta.id;meta.main", key=True),
    _star_key(key=False),
    _col(
        "spectrum_id", BigInteger, "Spectrum that was judged, if only one", ucd="meta.id", refers="spectrum.spectrum_id"
    ),
    _col("inspector", Text, "Who judged", ucd="meta.curation"),
    _col("is_be", Boolean, "Judgement: a Be profile or not; NULL: undecided", ucd="meta.code"),
    _col("profile_class", Text, "Profile class given by eye", ucd="meta.code.class"),
    _col("shell_type", Integer, "Shell type given by eye", ucd="meta.code.class"),
    _col("comment", Text, "Comment", ucd="meta.note"),
    _col("inspected_at", TIMESTAMP, "When (UTC)", ucd="time.creation"),
    _run(),
)


def _magnitude(band, name, ucd):
    return (
        _col(f"{band}_mag", REAL, f"{name} magnitude, observed", "mag", f"phot.mag;{ucd}"),
        _error(f"{band}_mag", REAL, f"{band}_mag", "mag", f"phot.mag;{ucd}"),
    )


PHOTOMETRY = _table(
    "photometry",
    "Photometry of the best counterpart of each star: 2MASS, AllWISE, Gaia",
    _star_key(),
    _col("tmass_id", Text, "2MASS designation", ucd="meta.id"),
    *_magnitude("j", "2MASS J", "em.IR.J"),
    *_magnitude("h", "2MASS H", "em.IR.H"),
    *_magnitude("k", "2MASS Ks", "em.IR.K"),
    _col("tmass_quality", Text, "2MASS ph_qual for J, H, Ks: A best, U an upper limit", ucd="meta.code.qual"),
    _col("tmass_separation_arcsec", REAL, "Angular separation from the 2MASS source", "arcsec", "pos.angDistance"),
    _col("tmass_ambiguous", Boolean, "More than one 2MASS source within the radius", ucd="meta.code"),
    _col("allwise_id", Text, "AllWISE designation", ucd="meta.id"),
    *_magnitude("w1", "AllWISE W1 (3.4 micron)", "em.IR.3-4um"),
    _col("allwise_quality", Text, "AllWISE ph_qual for W1 to W4: A best, U an upper limit", ucd="meta.code.qual"),
    _col("allwise_separation_arcsec", REAL, "Angular separation from the AllWISE source", "arcsec", "pos.angDistance"),
    _col("allwise_ambiguous", Boolean, "More than one AllWISE source within the radius", ucd="meta.code"),
    _col("g_mag", REAL, "Gaia G", "mag", "phot.mag;em.opt"),
    _col("bp_mag", REAL, "Gaia BP", "mag", "phot.mag;em.opt.B"),
    _col("rp_mag", REAL, "Gaia RP", "mag", "phot.mag;em.opt.R"),
    _col("bp_rp_excess_factor", REAL, "Gaia phot_bp_rp_excess_factor", "", "stat.fit.goodness"),
    _run(),
)

REDDENING = _table(
    "reddening",
    "Colour excess of each star, from a dust map at its distance or from a table",
    _star_key(),
    _col("ebv_mag", REAL, "E(B-V)", "mag", "phot.color.excess"),
    _error("ebv_mag", REAL, "ebv_mag", "mag", "phot.color.excess"),
    _col("distance_pc", REAL, "Distance at which the map was evaluated", "pc", "pos.distance"),
    _col("source", Text, "Map or table", ucd="meta.ref"),
    _run(),
)

ASTROMETRY = _table(
    "astrometry",
    "Gaia astrometry of the best counterpart of each star, with distance",
    _star_key(),
    _col("source_id", BigInteger, "Gaia source_id", ucd="meta.id"),
    _col("release", Text, "Gaia release", ucd="meta.version"),
    _col("ra_deg", Double, "Gaia right ascension at its epoch", "deg", "pos.eq.ra"),
    _col("dec_deg", Double, "Gaia declination at its epoch", "deg", "pos.eq.dec"),
    _col("epoch_yr", Double, "Epoch of the position", "yr", "time.epoch"),
    _col("pmra_mas_yr", Double, "Proper motion in right ascension, times cos(dec)", "mas.yr**-1", "pos.pm;pos.eq.ra"),
    _error("pmra_mas_yr", Double, "pmra_mas_yr", "mas.yr**-1", "pos.pm;pos.eq.ra"),
    _col("pmdec_mas_yr", Double, "Proper motion in declination", "mas.yr**-1", "pos.pm;pos.eq.dec"),
    _error("pmdec_mas_yr", Double, "pmdec_mas_yr", "mas.yr**-1", "pos.pm;pos.eq.dec"),
    _col("parallax_mas", Double, "Parallax", "mas", "pos.parallax.trig"),
    _error("parallax_mas", Double, "parallax_mas", "mas", "pos.parallax.trig"),
    _col("pmra_pmdec_corr", REAL, "Correlation of pmra and pmdec; NULL counts as 0", "", "stat.correlation"),
    _col("parallax_pmra_corr", REAL, "Correlation of parallax and pmra; NULL counts as 0", "", "stat.correlation"),
    _col("parallax_pmdec_corr", REAL, "Correlation of parallax and pmdec; NULL counts as 0", "", "stat.correlation"),
    _col("ruwe", REAL, "Renormalised unit weight error", "", "stat.error"),
    _col("nu_eff_per_um", REAL, "Effective wavenumber used in a five-parameter solution", "um**-1", "em.wavenumber"),
    _col(
        "pseudocolour_per_um",
        REAL,
        "Pseudocolour: wavenumber found in a six-parameter solution",
        "um**-1",
        "em.wavenumber",
    ),
    _col(
        "astrometric_params_solved",
        BigInteger,
        "31 if Gaia solved for five parameters, 95 for six, 3 for the position only",
        ucd="meta.code",
    ),
    _col(
        "parallax_zero_point_mas",
        Double,
        "Zero point of the parallax (Lindegren et al. 2021), to be subtracted from it; NULL if it is not known",
        "mas",
        "pos.parallax.trig;arith.zp",
    ),
    _col("distance_pc", Double, "Bailer-Jones distance (geometric)", "pc", "pos.distance"),
    _col("distance_lo_pc", Double, "Its 16th percentile", "pc", "pos.distance;stat.min"),
    _col("distance_hi_pc", Double, "Its 84th percentile", "pc", "pos.distance;stat.max"),
    _col("separation_arcsec", REAL, "Angular separation from the Gaia source", "arcsec", "pos.angDistance"),
    _col("is_ambiguous", Boolean, "More than one Gaia source within the radius", ucd="meta.code"),
    _run(),
)

GAIA_PARAMETERS = _table(
    "gaia_parameters",
    "Gaia DR3's own results on emission lines (ESP-ELS) and hot stars (ESP-HS), from its low-resolution spectra, and on companions",
    _star_key(),
    _col("source_id", BigInteger, "Gaia source_id", ucd="meta.id"),
    _col(
        "ew_espels_halpha_nm",
        REAL,
        "Pseudo-equivalent width of H-alpha from ESP-ELS; negative in emission",
        "nm",
        "spect.line.eqWidth",
    ),
    _error("ew_espels_halpha_nm", REAL, "ew_espels_halpha_nm", "nm", "spect.line.eqWidth"),
    _col("ew_espels_halpha_flag", Text, "Its quality: 0 is good", ucd="meta.code.qual"),
    _col("espels_class", Text, "Class of emission-line star from ESP-ELS", ucd="src.class"),
    _col("espels_class_flag", Text, "Its quality, as the archive gives it", ucd="meta.code.qual"),
    _col("espels_be_probability", REAL, "Probability of a Be star from ESP-ELS", "", "stat.probability;src.class"),
    _col(
        "espels_herbig_probability",
        REAL,
        "Probability of a Herbig Ae/Be star from ESP-ELS",
        "",
        "stat.probability;src.class",
    ),
    _col("teff_esphs_k", REAL, "Effective temperature from ESP-HS", "K", "phys.temperature.effective"),
    _col("logg_esphs_dex", REAL, "Surface gravity from ESP-HS", "dex(cm.s**-2)", "phys.gravity"),
    _col("vsini_esphs_km_s", REAL, "Projected rotational velocity from ESP-HS", "km.s**-1", "phys.veloc.rotat"),
    _col("ebpminrp_esphs_mag", REAL, "Colour excess E(BP-RP) from ESP-HS", "mag", "phot.color.excess"),
    _col("esphs_spectral_type", Text, "Kind of star according to ESP-HS: O, B, A, CSTAR ...", ucd="src.spType"),
    _col(
        "non_single_star",
        Integer,
        "Gaia's tables of non-single stars that contain it, as bits: 1 astrometric, 2 spectroscopic, 4 eclipsing binary; 0: none",
        "",
        "meta.code",
    ),
    _run(),
)

KINEMATIC_MODEL = _table(
    "kinematic_model",
    "Rotation curves and solar motions used to compute peculiar velocities",
    _col("kinematic_model", Text, "Name", ucd="meta.id;meta.main", key=True),
    _col("u_sun_km_s", Double, "Solar motion towards the Galactic centre", "km.s**-1", "phys.veloc"),
    _col("v_sun_km_s", Double, "Solar motion in the direction of rotation", "km.s**-1", "phys.veloc"),
    _col("w_sun_km_s", Double, "Solar motion towards the Galactic pole", "km.s**-1", "phys.veloc"),
    _col("r0_kpc", Double, "Distance of the Sun from the Galactic centre", "kpc", "pos.distance;pos.galactocentric"),
    _col("theta0_km_s", Double, "Circular speed at the Sun", "km.s**-1", "phys.veloc.rotat"),
    _col(
        "theta_slope_km_s_kpc", Double, "Slope of the rotation curve dTheta/dR", "km.s**-1.kpc**-1", "phys.veloc.rotat"
    ),
    _col("z_sun_pc", Double, "Height of the Sun above the plane", "pc", "pos.distance"),
    _col("pole_ra_deg", Double, "Right ascension of the north Galactic pole, J2000", "deg", "pos.eq.ra"),
    _col("pole_dec_deg", Double, "Declination of the north Galactic pole, J2000", "deg", "pos.eq.dec"),
    _col("parallax_offset_mas", Double, "Added to every parallax; NULL counts as 0", "mas", "pos.parallax;arith.diff"),
    _col(
        "distance_source",
        Text,
        "Bailer-Jones, zero point (parallax minus its parallax_zero_point_mas), or parallax; NULL counts as parallax",
        ucd="meta.ref",
    ),
    _col(
        "maxwellian_b_km_s", Double, "Scale b of the Maxwellian f = a v^2 exp(-v^2/b^2)", "km.s**-1", "stat.fit.param"
    ),
    _error("maxwellian_b_km_s", Double, "maxwellian_b_km_s", "km.s**-1", "stat.fit.param"),
    _col("maxwellian_source", Text, "published, or the number of stars to which it was fitted", ucd="meta.note"),
    _col("is_default", Boolean, "True for the model that the views use", ucd="meta.code"),
    _col("reference", Text, "Source of the constants", ucd="meta.bib"),
    _run(),
)

KINEMATICS = _table(
    "kinematics",
    "Peculiar tangential velocity and height of each star, by kinematic model",
    _star_key(),
    _col("kinematic_model", Text, "Model", ucd="meta.id", key=True, refers="kinematic_model.kinematic_model"),
    _col("l_deg", Double, "Galactic longitude", "deg", "pos.galactic.lon"),
    _col("b_deg", Double, "Galactic latitude", "deg", "pos.galactic.lat"),
    _col("v_l_km_s", Double, "Peculiar velocity along longitude", "km.s**-1", "phys.veloc.transverse"),
    _col("v_b_km_s", Double, "Peculiar velocity along latitude", "km.s**-1", "phys.veloc.transverse"),
    _col("v_tp_km_s", Double, "Peculiar tangential velocity", "km.s**-1", "phys.veloc.transverse"),
    _error("v_tp_km_s", Double, "v_tp_km_s (with Gaia's covariances)", "km.s**-1", "phys.veloc.transverse"),
    _col("z_pc", Double, "Height above the Galactic plane", "pc", "pos.cartesian.z"),
    _error("z_pc", Double, "z_pc", "pc", "pos.cartesian.z"),
    _run(),
)

LITERATURE_CATALOGUE = _table(
    "literature_catalogue",
    "Published lists with which stars are matched",
    _col("catalogue_id", Text, "Short name", ucd="meta.id;meta.main", key=True),
    _col("title", Text, "Title", ucd="meta.title"),
    _col(
        "object_class",
        Text,
        "CBe, Herbig Ae/Be, H II region, emission-line star, spectral types, or mixed",
        ucd="meta.code.class",
    ),
    _col("reference", Text, "Authors and year", ucd="meta.bib"),
    _col("bibcode", Text, "ADS bibcode", ucd="meta.bib.bibcode"),
    _col("vizier", Text, "VizieR table", ucd="meta.id"),
    _col("radius_arcsec", Double, "Matching radius", "arcsec", "pos.angDistance"),
    _col("epoch_yr", Double, "Epoch of its positions", "yr", "time.epoch"),
    _col("n_rows", BigInteger, "Rows loaded; NULL if it has not been fetched", ucd="meta.number"),
    _run(),
)

LITERATURE_MATCH = _table(
    "literature_match",
    "Every object of the literature lists within the radius of a star",
    _star_key(),
    _col("catalogue_id", Text, "List", ucd="meta.id", key=True, refers="literature_catalogue.catalogue_id"),
    _col("object_name", Text, "Name of the object in the list", ucd="meta.id", key=True),
    _col("object_class", Text, "CBe, Herbig Ae/Be, H II region, ...", ucd="meta.code.class"),
    _col("separation_arcsec", Double, "Angular separation from the star", "arcsec", "pos.angDistance"),
    _col("match_rank", Integer, "1 for the nearest object of that list", ucd="meta.number"),
    _col(
        "is_best",
        Boolean,
        "The object is the nearest to the star, and the star the nearest to the object",
        ucd="meta.code",
    ),
    _col("is_ambiguous", Boolean, "More than one object within the radius", ucd="meta.code"),
    _run(),
)

SPECTRAL_TYPE = _table(
    "spectral_type",
    "Every published spectral type of a star, converted into ranges",
    _star_key(),
    _col("catalogue_id", Text, "Source", ucd="meta.id", key=True),
    _col("spectral_type", Text, "Type as published", ucd="src.spType", key=True),
    _col("reference", Text, "Publication of the type", ucd="meta.bib", key=True),
    _col("year", Integer, "Year of that publication", "yr", "time.publiYear"),
    _col("object_name", Text, "Name of the object in the list", ucd="meta.id"),
    _col(
        "subtype_min",
        Double,
        "Earliest subtype that it allows: O0 = 0, B0 = 10, A0 = 20, F0 = 30, G0 = 40, K0 = 50, M0 = 60",
        "",
        "src.spType;stat.min",
    ),
    _col("subtype_max", Double, "Latest subtype that it allows, same scale", "", "src.spType;stat.max"),
    _col(
        "luminosity_min",
        Double,
        "Most luminous class that it allows: Ia = 1.0, Iab = 1.3, Ib = 1.6, II = 2 ... V = 5; NULL if none is given",
        "",
        "src.class.luminosity;stat.min",
    ),
    _col(
        "luminosity_max", Double, "Least luminous class that it allows, same scale", "", "src.class.luminosity;stat.max"
    ),
    _col("is_emission", Boolean, "The type says emission (e)", ucd="meta.code"),
    _col("is_shell", Boolean, "The type says shell", ucd="meta.code"),
    _col(
        "is_peculiar",
        Boolean,
        "The type is not that of a normal star: white dwarf, subdwarf, B[e], Herbig and similar",
        ucd="meta.code",
    ),
    _col("separation_arcsec", Double, "Angular separation from the catalogue's object", "arcsec", "pos.angDistance"),
    _col("is_adopted", Boolean, "True for the type that the views use (docs/spectral_types.md)", ucd="meta.code"),
    _run(),
)


def _with_error(name, comment, unit, ucd):
    return (_col(name, Double, comment, unit, ucd), _error(name, Double, name, unit, ucd))


CLUSTER = _table(
    "cluster",
    "Open clusters and their parameters",
    _col("cluster", Text, "Name", ucd="meta.id;meta.main", key=True),
    _col("ra_deg", Double, "Right ascension of the centre, ICRS", "deg", "pos.eq.ra"),
    _col("dec_deg", Double, "Declination of the centre, ICRS", "deg", "pos.eq.dec"),
    _col("r50_deg", Double, "Radius that contains half of the members", "deg", "phys.angSize"),
    _col("n_members", Integer, "Number of members", ucd="meta.number"),
    *_with_error(
        "pmra_mas_yr", "Mean proper motion in right ascension, times cos(dec)", "mas.yr**-1", "pos.pm;pos.eq.ra"
    ),
    *_with_error("pmdec_mas_yr", "Mean proper motion in declination", "mas.yr**-1", "pos.pm;pos.eq.dec"),
    *_with_error("parallax_mas", "Mean parallax", "mas", "pos.parallax"),
    *_with_error("rv_km_s", "Mean radial velocity", "km.s**-1", "spect.dopplerVeloc"),
    *_with_error("distance_pc", "Distance", "pc", "pos.distance"),
    *_with_error("log_age_yr", "log10 of the age in years", "dex(yr)", "time.age"),
    *_with_error("fe_h", "Metallicity [Fe/H]", "dex", "phys.abund.Fe"),
    *_with_error("av_mag", "Extinction A_V", "mag", "phys.absorption;em.opt.V"),
    _col("reference", Text, "Source of the parameters", ucd="meta.bib"),
    _run(),
)

CLUSTER_MATCH = _table(
    "cluster_match",
    "Stars that match a published cluster member",
    _star_key(),
    _col("cluster", Text, "Cluster", ucd="meta.id", key=True, refers="cluster.cluster"),
    _col("catalogue_id", Text, "List of members", ucd="meta.id", key=True),
    _col("member_source_id", BigInteger, "Gaia source_id of the member", ucd="meta.id"),
    _col("method", Text, "source_id or position", ucd="meta.code"),
    _col("membership_probability", Double, "Published probability of membership", "", "stat.probability"),
    _col("separation_arcsec", Double, "Angular separation of star and member", "arcsec", "pos.angDistance"),
    _col("pm_difference_sigma", Double, "Difference in proper motion divided by its error", "", "stat.snr"),
    _col("parallax_difference_sigma", Double, "Difference in parallax divided by its error", "", "stat.snr"),
    _run(),
)

LIGHT_CURVE = _table(
    "light_curve",
    "Time-series photometry that `becat light-curve` or `becat run` read from tables of TESS, ASAS-SN and ZTF, one row per measurement",
    _col("file", Text, "File from which it was read", ucd="meta.id;meta.file", key=True),
    _col("row_in_file", BigInteger, "Row of the file's table, counted from 1", ucd="meta.id", key=True),
    # no reference that is checked: its star is gone for a moment where the files of its spectra are read again
    _col("star_id", BigInteger, "Star", ucd="meta.id", required=True),
    _col("source", Text, "TESS, ASAS-SN or ZTF", ucd="meta.id;instr", required=True),
    _col("band", Text, "Filter, as the source names it; NULL if the file does not say", ucd="meta.id;instr.filter"),
    _col("mjd", Double, "Time minus JD 2400000.5, in the time system of time_system", "d", "time.epoch", required=True),
    _col(
        "time_system",
        Text,
        "Time system of mjd, as in the file: BJD TDB, HJD UTC, JD UTC or MJD UTC",
        ucd="time.scale",
        required=True,
    ),
    _col("magnitude_mag", REAL, "Magnitude; if is_limit, the star was fainter", "mag", "phot.mag;em.opt"),
    _error("magnitude_mag", REAL, "magnitude_mag", "mag", "phot.mag;em.opt"),
    _col(
        "relative_flux",
        REAL,
        "Flux divided by the median of the file, if it gives no magnitudes",
        "",
        "phot.flux;arith.ratio",
    ),
    _error("relative_flux", REAL, "relative_flux", "", "phot.flux;arith.ratio"),
    _col(
        "is_limit",
        Boolean,
        "True if the star was not detected, and magnitude_mag is the limit",
        ucd="meta.code",
        required=True,
    ),
    _run(),
)

COMPLETENESS = _table(
    "completeness",
    "Fraction of injected emission that the selection finds, by strength, S/N and rotation",
    _col("model_id", Text, "Model", ucd="meta.id", key=True, refers="model.model_id"),
    _col(
        "ew_emission_a",
        Double,
        "Equivalent width of the injected emission (negative)",
        "Angstrom",
        "spect.line.eqWidth",
        key=True,
    ),
    _col("snr", Double, "Signal-to-noise ratio per pixel", "", "stat.snr", key=True),
    _col("v_sin_i_km_s", Double, "Projected rotational velocity of the host", "km.s**-1", "phys.veloc.rotat", key=True),
    _col("host", Text, "Host spectra: real or simulated", ucd="meta.code", key=True),
    _col("n_injected", Integer, "Spectra tested", ucd="meta.number"),
    _col("n_detected", Integer, "Spectra with a score above the threshold", ucd="meta.number"),
    _run(),
)

VELOCITY_OFFSET = _table(
    "velocity_offset",
    "Zero points of the velocities as of the last `becat measure`: the rows of the view velocity_zero_point, for which all stars must be"
    " read. The velocities of epoch_velocity use them",
    _col("survey", Text, "LAMOST MRS or LAMOST LRS", ucd="meta.id;instr", key=True),
    _col("spectrograph", Integer, "LAMOST spectrograph number", ucd="meta.id;instr", key=True),
    _col("plan_id", Text, "LAMOST plate plan", ucd="meta.id;obs.field", key=True),
    _col("night", BigInteger, "Night: day of the middle of its exposures", "d", "time.epoch", key=True),
    _col(
        "arm",
        Text,
        "Arm: blue, by the lines of the blue arm, or red, by H-alpha in absorption",
        ucd="meta.id;instr",
        key=True,
    ),
    _col("n_stars", BigInteger, "Constant stars from which it was computed", ucd="meta.number;src"),
    _col(
        "offset_km_s",
        Double,
        "Zero point: how far the constant stars deviate from their own means",
        "km.s**-1",
        "spect.dopplerVeloc.opt;arith.diff",
    ),
    _error("offset_km_s", Double, "offset_km_s", "km.s**-1", "spect.dopplerVeloc.opt;arith.diff"),
    _run(),
)

STAR_PERIOD = _table(
    "star_period",
    "The period that best fits the changes of a star with enough nights, whether or not it is significant:"
    " false_alarm_probability tells how likely it is by chance",
    _star_key(),
    _col(
        "quantity",
        Text,
        "Quantity that was searched: rv_km_s, ew_halpha_a or violet_red_ratio",
        ucd="meta.id",
        key=True,
    ),
    _col("period_d", Double, "Period; NULL if no sine can be fitted", "d", "time.period"),
    _error("period_d", Double, "period_d, if it is the true period and not an alias", "d", "time.period"),
    _col(
        "false_alarm_probability",
        Double,
        "Probability that noise alone has so high a peak at any period searched (Baluev 2008)",
        "",
        "stat.probability",
    ),
    _col(
        "n_nights",
        Integer,
        "Nights whose means were searched; for velocities and V/R those of the survey with the most nights",
        ucd="meta.number;obs",
    ),
    _col("baseline_d", Double, "Time between the first and the last night", "d", "time.interval"),
    _col(
        "mean",
        Double,
        "Mean of the fitted sine, in the unit of the quantity: km/s, Angstrom or none; for an orbit the velocity of the centre of mass",
        "",
        "stat.value",
    ),
    _col(
        "semi_amplitude",
        Double,
        "Semi-amplitude of the fitted sine or orbit (K1), in the unit of the quantity",
        "",
        "stat.value",
    ),
    _error("semi_amplitude", Double, "semi_amplitude", ""),
    _col(
        "mjd_phase_zero",
        Double,
        "A maximum of the fitted sine or orbit near the middle of the nights (UTC): phase 0",
        "d",
        "time.epoch",
    ),
    _error("mjd_phase_zero", Double, "mjd_phase_zero; NULL for an eccentric orbit", "d", "time.epoch"),
    _col(
        "eccentricity",
        Double,
        "Eccentricity, if an orbit fits the velocities better than a sine; otherwise NULL",
        "",
        "src.orbital.eccentricity",
    ),
    _error("eccentricity", Double, "eccentricity", "", "src.orbital.eccentricity"),
    _col(
        "reduced_chi2",
        Double,
        "Chi-square of the nights about the sine or orbit, divided by its degrees of freedom",
        "",
        "stat.fit.chi2",
    ),
    _col("period_version", Text, "Version of the code and its parameters, and of the epochs", ucd="meta.version"),
    _run(),
)

BINARY_COMPLETENESS = _table(
    "binary_completeness",
    "How many simulated binaries have a velocity that changes or double lines in view binary_evidence, with the shipped thresholds, by"
    " period, semi-amplitude, S/N and number of exposures; rows with k1_km_s = 0 are stars without a companion: docs/simulation.md",
    _col(
        "star_kind",
        Text,
        "B star (without a disc), Be star, double-lined star, or Be star whose disc changes",
        ucd="meta.code",
        key=True,
    ),
    _col(
        "period_d", Double, "Period of the orbit, middle of a bin; 0 for constant stars", "d", "time.period", key=True
    ),
    _col(
        "k1_km_s",
        Double,
        "Semi-amplitude of the primary's velocity, middle of a bin; 0 for constant stars",
        "km.s**-1",
        "spect.dopplerVeloc",
        key=True,
    ),
    _col(
        "snr",
        Double,
        "Signal-to-noise ratio per pixel of an exposure in the red arm, middle of a bin",
        "",
        "stat.snr",
        key=True,
    ),
    _col("n_exposures", Integer, "Exposures of a star, each on a different night", ucd="meta.number;obs", key=True),
    _col("n_stars", Integer, "Stars tried", ucd="meta.number"),
    _col("n_found", Integer, "Stars found to be binaries", ucd="meta.number"),
    _run(),
)

SELECTION_PARAMETER = _table(
    "selection_parameter",
    "Every threshold that the views use. If you change a value, the views follow at once",
    _col("name", Text, "Name", ucd="meta.id;meta.main", key=True),
    _col("value", Double, "Current value", "", "stat.value", required=True),
    _col("default_value", Double, "Shipped value", "", "stat.value", required=True),
    _col("unit", Text, "Unit of the value", ucd="meta.unit"),
    _col("description", Text, "What it decides", ucd="meta.note"),
    _col("reference", Text, "Source of the value", ucd="meta.bib"),
)

PUBLISHED_VALUE = _table(
    "published_value",
    "Counts and constants printed in Wang et al. 2022",
    _col("name", Text, "Name", ucd="meta.id;meta.main", key=True),
    _col("value", Double, "Printed value", "", "stat.value", required=True),
    _col("unit", Text, "Unit", ucd="meta.unit"),
    _col("place", Text, "Where it is in the paper", ucd="meta.bib.page"),
    _col("description", Text, "What it counts", ucd="meta.note"),
)

ETL_RUN = _table(
    "etl_run",
    "Every run of becat that wrote to this file",
    _col("run_id", BigInteger, "Run", ucd="meta.id;meta.main", key=True),
    _col("command", Text, "Stage or command", ucd="meta.note", required=True),
    _col("started_at", TIMESTAMP, "Start (UTC)", ucd="time.start"),
    _col("ended_at", TIMESTAMP, "End (UTC); NULL if it was interrupted", ucd="time.end"),
    _col("status", Text, "running, done, failed or interrupted", ucd="meta.code.status"),
    _col("becat_version", Text, "Version of becat", ucd="meta.version"),
    _col("code_version", Text, "Hash of the code of the stage and of its parameters", ucd="meta.version"),
    _col("n_done", BigInteger, "Rows, files or stars processed", ucd="meta.number"),
    _col("n_rejected", BigInteger, "Inputs rejected", ucd="meta.number"),
    _col("message", Text, "What happened, in one line", ucd="meta.note"),
)

INPUT_FILE = _table(
    "input_file",
    "Ledger of the files that were read: a file is read again when its content or the reduction code changes",
    _col("file", Text, "Path", ucd="meta.id;meta.file;meta.main", key=True),
    _col("size_bytes", BigInteger, "Size", "byte", "meta.number"),
    _col("modified_ns", BigInteger, "Modification time, nanoseconds since 1970", "ns", "time.processing"),
    _col("sha256", Text, "SHA-256 of the content", ucd="meta.id"),
    _col("kind", Text, "spectra, general catalogue, parameter catalogue, ...", ucd="meta.code"),
    _col(
        "status",
        Text,
        "loaded, duplicate, rejected, or missing: loaded, but no longer there (`becat forget`)",
        ucd="meta.code.status",
    ),
    _col("n_rows", BigInteger, "Spectra or rows taken from it", ucd="meta.number"),
    _col("version", Text, "Version of the code that read it", ucd="meta.version"),
    _run(),
)

REJECTED_INPUT = _table(
    "rejected_input",
    "Input that could not be trusted, and why. It is tried again when it changes",
    _col("file", Text, "Path", ucd="meta.id;meta.file", key=True),
    _col("stage", Text, "open, read, reduce, load, catalogue, ...", ucd="meta.code", key=True),
    _col("detail", Text, "HDU, row or cell; empty for the whole file", ucd="meta.note", key=True),
    _col("reason", Text, "What is wrong", ucd="meta.note", required=True),
    _col("size_bytes", BigInteger, "Size when it was rejected", "byte", "meta.number"),
    _col(
        "modified_ns",
        BigInteger,
        "Modification time when it was rejected, nanoseconds since 1970",
        "ns",
        "time.processing",
    ),
    _run(),
)

TABLE_CHECKSUM = _table(
    "table_checksum",
    "Checksums of the rows of each table by the run that wrote them, made at the end of every command: `becat verify`"
    " compares them",
    _col("table_name", Text, "Table", ucd="meta.id;meta.main", key=True),
    _col(
        "written_by",
        BigInteger,
        "Run that wrote the rows; 0 for tables whose rows do not record it",
        ucd="meta.id;meta.dataset",
        key=True,
    ),
    _col("n_rows", BigInteger, "Rows", ucd="meta.number", required=True),
    _col(
        "checksum",
        BigInteger,
        "Sum of the hashes of the rows, independent of their order",
        ucd="meta.checksum",
        required=True,
    ),
    _col("columns", Text, "Columns that were hashed", ucd="meta.note", required=True),
    _col(
        "engine",
        Text,
        "Version of DuckDB that made the hashes; another version makes different ones",
        ucd="meta.version",
    ),
    _col("last_run_id", BigInteger, "Last run of the command that made the checksum", ucd="meta.id;meta.dataset"),
    _col(
        "changed_at",
        TIMESTAMP,
        "When a later command found rows that differ from those written by becat (UTC)",
        ucd="time",
    ),
)

WAITING_INPUT = _table(
    "waiting_input",
    "Spectra and light curves not loaded from a file for a cause outside the file; when the cause ends, the file is read again",
    _col("file", Text, "Path", ucd="meta.id;meta.file", key=True),
    _col("spectrum_id", BigInteger, "Spectrum; 0 for the whole file", ucd="meta.id", key=True),
    _col("cause", Text, "unreadable, no S/N, other file, or other light curve", ucd="meta.code", required=True),
    _col("survey", Text, "Survey of the spectrum that has no S/N", ucd="meta.id;instr"),
    _col("obsid", BigInteger, "Its obsid", ucd="meta.id;obs"),
    _col("lmjm", BigInteger, "Its local modified Julian minute; 0 for a coadd", "min", "time.epoch"),
    _col(
        "held_by",
        Text,
        "Other file that contains the spectrum, or the measurements of a light curve",
        ucd="meta.id;meta.file",
    ),
    _col("held_as", BigInteger, "Number of the spectrum in that file", ucd="meta.id"),
    _col("held_content", Text, "Its content_hash", ucd="meta.id"),
    _run(),
)

NAMED_INPUT = _table(
    "named_input",
    "What the configuration of `becat run` named at the last run: what it no longer names is removed",
    _col(
        "kind", Text, "release catalogue, positions, archive, fetched archive or light curve", ucd="meta.code", key=True
    ),
    _col("name", Text, "Path, or name of the source", ucd="meta.id", key=True),
    _run(),
)

SCHEMA_STATE = _table(
    "schema_state",
    "The schema with which this file was last brought up to date: a different becat reports it, or updates the file",
    _col("digest", Text, "Digest of tables, views, macros and constants", ucd="meta.version", key=True),
    _col("becat_version", Text, "Version of becat", ucd="meta.version"),
)

MISSING_RESULT = _table(
    "missing_result",
    "Spectra that were loaded but could not be measured or scored, and why",
    _spectrum_key(),
    _col("stage", Text, "measure or score", ucd="meta.code", key=True),
    _col("reason", Text, "What is wrong with the spectrum", ucd="meta.note", required=True),
    _run(),
)

LIST_COMPARISON = _table(
    "list_comparison",
    "Published lists that `becat compare` compared with ours: one row for each star in either",
    _col("list", Text, "Published list", ucd="meta.id;meta.dataset", key=True),
    _col(
        "row_in_list",
        BigInteger,
        "Number of the row in the list; stars only here follow",
        ucd="meta.id;meta.main",
        key=True,
    ),
    _col("compared_view", Text, "View whose stars are ours in the comparison", ucd="meta.id;meta.table", required=True),
    _col("found_by", Text, "both, only in the list, or only here", ucd="meta.code", required=True),
    _col("object_name", Text, "Name in the list; our designation for stars only here", ucd="meta.id"),
    _col("listed_class", Text, "Class that the list gives", ucd="src.class"),
    _col("ra_deg", Double, "Right ascension in the list; ours for stars only here", "deg", "pos.eq.ra"),
    _col("dec_deg", Double, "Declination in the list; ours for stars only here", "deg", "pos.eq.dec"),
    _col("star_id", BigInteger, "Star here; NULL if there is none", ucd="meta.id", refers="star.star_id"),
    _col(
        "separation_arcsec",
        REAL,
        "Angular separation of our star from the position in the list",
        "arcsec",
        "pos.angDistance",
    ),
    _col("snr_b", REAL, "Highest S/N of its blue arms here", "", "stat.snr"),
    _col("snr_r", REAL, "Highest S/N of its red arms here", "", "stat.snr"),
    _col("g_mag", REAL, "Gaia G", "mag", "phot.mag;em.opt"),
    _col("step", Integer, "First step that the star fails here", ucd="meta.code"),
    _col("step_name", Text, "Its name", ucd="meta.id"),
    _col("value", Double, "Value that decided", "", "stat.value"),
    _col("threshold", Double, "Threshold of that test", "", "stat.value"),
    _col("reason", Text, "Why a star in the list is not one of ours", ucd="meta.note"),
    _col("reason_kind", Text, "The reason without numbers", ucd="meta.note"),
    _col("is_simulated", Boolean, "True if all spectra of the star here are simulated", ucd="meta.code"),
    _run(),
)

DOWNLOAD_PLAN = _table(
    "download_plan",
    "Spectra of a release that `becat lamost plan` chose, and the state of each file",
    _col(
        "survey", Text, "mrs or lrs: the two surveys number their spectra independently", ucd="meta.id;instr", key=True
    ),
    _col("obsid", BigInteger, "LAMOST observation identifier", ucd="meta.id;obs", key=True),
    _col(
        "release", Text, "Data release from which the file is, or will be, fetched", ucd="meta.version", required=True
    ),
    _col("version", Text, "Version of that release", ucd="meta.version"),
    _col("night", Text, "Night of observation (Beijing), YYYYMMDD", ucd="time.epoch"),
    _col("plan_id", Text, "LAMOST plate plan", ucd="meta.id;obs.field"),
    _col("file", Text, "File below the folder of the survey: night/plan/name", ucd="meta.id;meta.file", required=True),
    _col("ra_deg", Double, "Right ascension in the release's catalogue", "deg", "pos.eq.ra"),
    _col("dec_deg", Double, "Declination in the release's catalogue", "deg", "pos.eq.dec"),
    *_signal_to_noise(),
    _col("n_rows", Integer, "Rows of the file in the general catalogue: one per band and exposure", ucd="meta.number"),
    _col("bytes_expected", BigInteger, "Expected size of the file", "byte", "meta.number"),
    _col(
        "night_bytes",
        BigInteger,
        "Expected size of the archive of its whole night; NULL if the file cannot be identified in it by name",
        "byte",
        "meta.number",
    ),
    _col("why", Text, "Why it was chosen", ucd="meta.note"),
    _col(
        "state",
        Text,
        "planned, replace (an older release's file is there), fetched, missing or failed",
        ucd="meta.code.status",
    ),
    _col("problem", Text, "What went wrong, if anything", ucd="meta.note"),
    _run(),
)

DOWNLOAD_RATE = _table(
    "download_rate",
    "Speed of each download from LAMOST: the next plan estimates its hours from the last one",
    _col(
        "run_id",
        BigInteger,
        "Run of becat that wrote this row",
        ucd="meta.id;meta.dataset",
        key=True,
        refers="etl_run.run_id",
    ),
    _col(
        "way", Text, "single (one file per request) or night (the archive of a whole night)", ucd="meta.code", key=True
    ),
    _col("n_files", BigInteger, "Files, or archives, received", ucd="meta.number", required=True),
    _col("n_bytes", BigInteger, "Bytes received", "byte", "meta.number", required=True),
    _col("seconds", Double, "How long it took", "s", "time.duration", required=True),
    _col("connections", Integer, "Simultaneous connections", ucd="meta.number", required=True),
)

TABLES = METADATA.tables


def column_info(table: str, column: str) -> dict[str, str]:
    """Unit, UCD and description of a column.

    Parameters
    ----------
    table, column : str
        Names as in the catalogue.

    Returns
    -------
    dict
        Keys ``unit``, ``ucd``, ``description`` (and ``refers`` where the column points to another).
    """
    found = TABLES[table].columns[column]
    return {**found.info, "description": found.comment or ""}
