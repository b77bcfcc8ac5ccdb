"""Profile classes against profiles of known shape, simulated truth and real stars."""

import duckdb
import numpy as np
import pytest
from scipy import stats

from becat.etl.readers import read_file
from becat.etl.reduce import reduce_batch
from becat.schema import build
from becat.schema.grid import RED
from becat.schema.lines import LINES, SPEED_OF_LIGHT_KM_S
from becat.udfs import measure_batch, profile_batch
from becat.udfs.rotation import rotation_limit
from benchmarks.profile_classes import candidate_classes, classify, classify_arms

HALPHA_A = LINES["halpha"].wavelength_a


def _line(velocity_km_s, height, fwhm_km_s):
    """A Gaussian component: place and width in km/s, height over the continuum."""
    sigma_a = fwhm_km_s / 2.3548 / SPEED_OF_LIGHT_KM_S * HALPHA_A
    centre_a = HALPHA_A * (1 + velocity_km_s / SPEED_OF_LIGHT_KM_S)
    return height * np.exp(-0.5 * ((RED.wavelength_a - centre_a) / sigma_a) ** 2)


PHOTOSPHERE = _line(0, -0.25, 900) + _line(0, -0.25, 400)

# Name: components added to the continuum; class, type, shell type.
SHAPES = {
    "plain absorption": ([PHOTOSPHERE], "absorption", None, None),
    "deep narrow core": ([PHOTOSPHERE, _line(0, -0.3, 60)], "absorption", None, None),
    "single": ([_line(0, 3.0, 250)], "emission", "single peak", None),
    "double": ([_line(-110, 1.5, 180), _line(110, 1.5, 180)], "emission", "double symmetric", None),
    "double asymmetric": ([_line(-110, 2.0, 180), _line(110, 1.2, 180)], "emission", "double asymmetric", None),
    "narrow in absorption": ([PHOTOSPHERE, _line(0, 0.3, 120)], "emission", "narrow emission in absorption", None),
    "P Cygni": ([_line(80, 2.0, 200), _line(-300, -0.4, 100)], "emission", "single peak", None),
    "shell, narrow": ([_line(0, 1.5, 400), _line(0, -1.8, 60)], "emission with shell", None, 1),
    "shell, broad": ([_line(0, 2.5, 600), _line(0, -3.0, 160)], "emission with shell", None, 2),
    "shell, asymmetric": (
        [_line(0, 2.5, 500), _line(-20, -2.0, 60), _line(60, -1.7, 130)],
        "emission with shell",
        None,
        3,
    ),
    "absorption shell, above": (
        [PHOTOSPHERE, _line(-150, 0.75, 110), _line(150, 0.75, 110), _line(0, -0.3, 60)],
        "absorption with shell",
        None,
        1,
    ),
    "absorption shell, below": (
        [PHOTOSPHERE, _line(-110, 0.2, 70), _line(110, 0.2, 70), _line(0, -0.3, 60)],
        "absorption with shell",
        None,
        2,
    ),
    "absorption shell, one shoulder": (
        [PHOTOSPHERE, _line(150, 0.3, 90), _line(0, -0.5, 60)],
        "absorption with shell",
        None,
        2,
    ),
    "two cores": ([_line(-150, -0.4, 150), _line(150, -0.3, 150)], "absorption", None, None),
    "two Stark cores": (
        [0.5 * PHOTOSPHERE, _line(-120, -0.3, 150), _line(130, -0.2, 150)],
        "absorption",
        None,
        None,
    ),
}


def _observe(components, snr, n, seed=0):
    rng = np.random.default_rng(seed)
    flux = 1 + sum(components) + rng.normal(0, 1 / snr, (n, RED.n_pixels))
    return flux, np.full(flux.shape, snr**2), np.full(n, snr)


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("snr", [60.0, 150.0])
def test_shapes_of_known_class(name, snr):
    components, expected_class, expected_type, expected_shell = SHAPES[name]
    found = profile_batch(*_observe(components, snr, 40))
    assert np.mean(found["profile_class"] == expected_class) >= 0.95
    assert np.mean(found["profile_type"] == np.array(expected_type, dtype=object)) >= 0.9
    if expected_shell is None:
        assert np.ma.getmaskarray(found["shell_type"]).mean() >= 0.95
    else:
        assert np.mean(np.ma.filled(found["shell_type"], 0) == expected_shell) >= 0.9
        assert all(found["evidence"])


def test_noise_is_not_emission():
    for snr in (10.0, 30.0, 200.0):
        found = profile_batch(*_observe([PHOTOSPHERE], snr, 500))
        assert np.mean(found["n_emission_peaks"] == 0) > 0.99


@pytest.mark.parametrize("ratio", [0.7, 1.0, 1.4])
def test_violet_red_ratio_and_its_error(ratio):
    """Known V/R and separation come back; the error agrees with the scatter to 25 % (peaks are picked, which adds some)."""
    components = [_line(-150, ratio, 150), _line(150, 1.0, 150)]
    clean = 1 + np.sum(components, axis=0)
    found = profile_batch(*_observe(components, 80.0, 600))
    true = (clean[RED.wavelength_a < HALPHA_A].max() - 1) / (clean[RED.wavelength_a > HALPHA_A].max() - 1)
    assert np.median(found["violet_red_ratio"]) == pytest.approx(true, rel=0.02)
    assert found["violet_red_ratio"].std() == pytest.approx(np.median(found["e_violet_red_ratio"]), rel=0.25)
    assert np.median(found["peak_separation_km_s"]) == pytest.approx(300, abs=8)


def test_shell_width_and_asymmetry():
    found = profile_batch(*_observe([_line(0, 3.0, 700), _line(0, -3.4, 100)], 200.0, 50))
    # Half depth is counted from the peaks beside the core, a little below the emission that the core is cut into.
    assert np.median(found["shell_fwhm_km_s"]) == pytest.approx(100, rel=0.15)
    assert abs(np.median(found["shell_asymmetry"])) < 0.05


def _turning(name, v_sin_i_km_s, depth):
    """A line of a rotating star: the elliptic profile of a disc without limb darkening."""
    line_a = LINES[name].wavelength_a
    speed = (RED.wavelength_a / line_a - 1) * SPEED_OF_LIGHT_KM_S
    return -depth * np.sqrt(np.clip(1 - (speed / v_sin_i_km_s) ** 2, 0, None))


@pytest.mark.parametrize("lines", [{"hei_6680": 0.08}, {"siii_6349": 0.06, "siii_6373": 0.05}])
def test_rotation_makes_a_narrow_core_a_shell_line(lines):
    """Type 3 of absorption with shell: only where helium or silicon turns far faster than the core is wide."""
    core = [PHOTOSPHERE, _line(0, -0.3, 50)]
    fast = [_turning(name, 280.0, depth) for name, depth in lines.items()]
    found = profile_batch(*_observe([*core, *fast], 150.0, 20))
    assert np.mean(found["profile_class"] == "absorption with shell") == 1
    assert np.mean(found["shell_type"] == 3) == 1
    assert "v sin i" in found["evidence"][0]
    slow = [_turning(name, 40.0, depth) for name, depth in lines.items()]
    for others in ([], slow):
        assert np.mean(profile_batch(*_observe([*core, *others], 150.0, 20))["profile_class"] == "absorption") == 1
    blurred = profile_batch(*_observe([*core, *fast], 150.0, 5), None, np.full(5, 1800.0))
    assert np.mean(blurred["profile_class"] == "absorption") == 1


@pytest.mark.parametrize("v_sin_i", [60.0, 150.0, 300.0])
@pytest.mark.parametrize("velocity", [0.0, -140.0])
def test_rotation_limit_is_below_the_rotation_and_near_it(v_sin_i, velocity):
    shift = 1 + velocity / SPEED_OF_LIGHT_KM_S
    line = _turning("hei_6680", v_sin_i, 0.12)
    moved = np.interp(RED.wavelength_a, RED.wavelength_a * shift, line)
    flux, ivar, _ = _observe([moved], 200.0, 60)
    limit = rotation_limit(flux, ivar, np.full(60, velocity), 5.0)
    assert np.mean(limit <= v_sin_i * 1.05) > 0.95
    assert np.median(limit) >= 0.5 * v_sin_i
    nothing = rotation_limit(*_observe([], 200.0, 40)[:2], np.zeros(40), 5.0)
    assert (nothing == nothing.min()).mean() > 0.95


def test_a_cusp_between_peaks_is_a_shell_line_and_the_dip_of_a_disc_is_not():
    peaks = [_line(-150, 1.5, 240), _line(150, 1.5, 240)]
    dip = profile_batch(*_observe(peaks, 100.0, 30))
    assert np.mean(dip["profile_class"] == "emission") == 1
    cusp = profile_batch(*_observe([*peaks, _line(0, -0.9, 60)], 100.0, 30))
    assert np.mean(cusp["profile_class"] == "emission with shell") == 1
    assert "too narrow" in cusp["evidence"][0]


def test_core_flux_is_the_bottom_of_the_line_or_between_the_peaks():
    found = profile_batch(*_observe([_line(0, -0.4, 300)], 100.0, 200))
    assert np.median(found["core_flux"]) == pytest.approx(0.6, abs=0.02)
    assert np.std(found["core_flux"]) < 1.5 * np.median(found["e_core_flux"])
    between = [_line(-120, 1.5, 120), _line(120, 1.5, 120)]
    found = profile_batch(*_observe(between, 100.0, 20))
    inside = np.abs(RED.wavelength_a - HALPHA_A) < 2
    assert np.median(found["core_flux"]) == pytest.approx((1 + np.sum(between, axis=0))[inside].min(), abs=0.05)


def test_a_core_that_changes_between_epochs_is_evidence(tmp_path):
    stars = {1: [0.4], 2: [0.40, 0.41, 0.39], 3: [0.2, 0.45, 0.5], 4: [0.2, 0.45, 0.5]}
    rows = [(star, core, star == 4) for star, cores in stars.items() for core in cores]
    build.create(tmp_path / "c.duckdb")
    with duckdb.connect(str(tmp_path / "c.duckdb")) as connection:
        for star in stars:
            connection.execute(
                "insert into star by name select ? as star_id, 10 as ra_deg, 60 as dec_deg, true as is_simulated",
                [star],
            )
        for k, (star, core, two_cores) in enumerate(rows):
            connection.execute(
                "insert into spectrum by name select ? as spectrum_id, ? as star_id, 'LAMOST MRS' as survey, 'f' as file,"
                " true as is_simulated, true as coadd, true as has_blue, 50 as snr_r, 50 as snr_b, 59000 + ? as mjd",
                [k, star, k],
            )
            connection.execute(
                "insert into profile_class by name select ? as spectrum_id, 'absorption' as profile_class,"
                " ?::real as core_flux, 0.01::real as e_core_flux, ? as has_two_cores",
                [k, core, two_cores],
            )
        found = connection.execute(
            "select star_id, n_cores, core_change_sigma, core_changes from core_change"
        ).fetchall()
    table = {row[0]: row[1:] for row in found}
    assert set(table) == {2, 3, 4}  # one epoch is no change
    assert table[2][::2] == (3, False) and table[2][1] < 1
    assert table[3][2] and not table[4][2]
    cores = np.array(stars[3])
    chi2 = np.sum((cores - cores.mean()) ** 2) / (0.01**2 + 0.02**2)
    # Wilson & Hilferty's approximation is on the safe side beyond some sigma.
    assert table[3][1] == pytest.approx(stats.norm.isf(stats.chi2.sf(chi2, 2)), rel=0.2)


def test_bad_spectra_have_no_class():
    flux, ivar, snr = _observe([PHOTOSPHERE], 50.0, 4)
    flux[0], ivar[1], snr[2] = np.nan, 0.0, np.nan
    found = profile_batch(flux, ivar, snr)
    assert list(found["profile_class"]) == [None, None, None, "absorption"]
    assert np.ma.getmaskarray(found["n_emission_peaks"]).tolist() == [True, True, True, False]


def _is_shell(names):
    return np.isin(names, ["emission with shell", "absorption with shell"])


def test_simulated_truth():
    """Of what a Be profile shows visibly most is found; of ordinary stars next to nothing is called emission or shell."""
    kinds = ["absorption", "absorption_core", "emission_single", "emission", "shell_emission"]
    profiles, found = classify(1700, seed=4, kinds=kinds)  # as many of these as among 3,000 of all kinds
    names = found["profile_class"].astype(str)
    emission, shell = names != "absorption", _is_shell(names)
    high = profiles.truth["snr"] > 30

    def fraction(kind, label, what):
        chosen = (profiles.kind == kind) & (profiles.label == label) & high
        return what[chosen].mean()

    for kind in ("absorption", "absorption_core"):
        assert fraction(kind, 0, emission) < 0.05
        assert fraction(kind, 0, shell) < 0.01
    assert fraction("emission_single", 1, names == "emission") > 0.8
    assert fraction("emission", 1, emission) > 0.8
    assert fraction("shell_emission", 1, shell) > 0.45


def test_shell_absorption_is_no_emission_and_weak_emission_is_seen_on_a_second_look():
    """Judged on a seed that nothing was set on, as what a classifier that is right would pass."""
    profiles, found = classify(400, seed=121, kinds=["shell_absorption", "emission_weak"])
    first, second = (found[name].astype(str) for name in ("profile_class", "profile_class_on_second_look"))
    visible = profiles.label == 1
    shell, weak = visible & (profiles.kind == "shell_absorption"), visible & (profiles.kind == "emission_weak")
    assert shell.sum() > 50 and weak.sum() > 50
    assert (first[shell] == "emission").mean() < 0.05
    assert np.char.startswith(second[weak], "weak ").sum() > 0.15 * (first[weak] == "absorption").sum()
    seen = ~np.char.startswith(second, "weak ")
    assert (second[seen] == first[seen]).all() and (first[~seen] == "absorption").all()


def test_the_second_look_alone_makes_no_class():
    classes = candidate_classes(np.array(["weak emission", "weak emission", "absorption", "absorption", "emission"]),
                                np.array([True, False, True, False, False]))  # fmt: skip
    assert classes.tolist() == ["emission", "absorption", "unclassified", "absorption", "emission"]
    with duckdb.connect() as connection:
        connection.execute("create table selection_parameter as select 'be_probability_min' as name, 0.5 as value")
        for name in ("parameter", "candidate_class"):
            macro = build.MACROS[name]
            connection.execute(f"create macro {name}({', '.join(macro.arguments)}) as ({macro.sql})")
        rows = [
            ("weak emission", 0.9),
            ("weak emission", 0.1),
            ("absorption", 0.9),
            ("absorption", 0.1),
            ("emission", 0.1),
        ]
        told = [connection.execute("select candidate_class(null, ?, ?)", row).fetchall()[0][0] for row in rows]
    assert told == classes.tolist()


def test_two_absorption_cores_are_neither_emission_nor_a_shell():
    profiles, found = classify(900, seed=4, kinds=["sb2"])
    names = found["profile_class"].astype(str)[profiles.truth["snr"] > 30]
    assert len(names) > 500
    assert (names != "absorption").mean() < 0.05
    assert _is_shell(names).mean() < 0.01


def test_shells_of_fast_rotators_are_found_on_whole_arms():
    """Bare cores by the rotation that helium and silicon show; Vega-like cores, binaries and late types are no shells."""
    kinds = {"shell_absorption": 4, "absorption_core": 2, "sb2": 1, "composite": 1, "late": 1}
    simulated, found = classify_arms(110, seed=5, kinds=kinds)
    shell = _is_shell(found["profile_class"].astype(str))
    assert shell[simulated.kind == "shell_absorption"].mean() > 0.2
    assert not shell[simulated.label == 0].any()


def _real(path):
    spectra, _ = read_file(path)
    arm, meta = spectra[0].arms["red"], spectra[0].meta
    reduced = reduce_batch([arm], RED, resolving_power=meta["resolving_power"])
    snr, power = np.array([meta["snr_r"]], float), np.array([meta["resolving_power"]], float)
    return {name: x[0] for name, x in profile_batch(reduced.flux, reduced.ivar, snr, None, power).items()}


def test_real_emission_stars(real_data):
    found = _real(real_data / "halpha" / "gamma-cas-emission.fits")
    assert (found["profile_class"], found["profile_type"]) == ("emission", "single peak")
    found = _real(real_data / "halpha" / "bt-cmi-ondrejov.fits")
    assert (found["profile_class"], found["n_emission_peaks"]) == ("emission", 2)
    assert found["peak_separation_km_s"] == pytest.approx(177, abs=12)
    found = _real(real_data / "mrs" / "med-58440-NT222300N571704C01_sp11-073.fits")
    assert (found["profile_class"], found["profile_type"]) == ("emission", "double symmetric")


def test_real_absorption_stars_are_not_shell_stars(real_data):
    """Vega and alpha Dra: a deep narrow core by itself; the double-lined binary: a ridge between two cores."""
    files = [
        real_data / "halpha" / "alpha-lyr-absorption.fits",
        *sorted((real_data / "halpha").glob("alphadra_*.fits")),
        *sorted((real_data / "mrs").glob("med-586*_sp12-076.fits.gz")),
        *sorted((real_data / "mrs").glob("med-58025*")),
    ]
    assert len(files) >= 10
    for path in files:
        found = _real(path)
        assert (path.name, found["profile_class"]) == (path.name, "absorption")


def test_nitrogen_of_a_receding_star_is_no_halpha_peak():
    """A star at +97 km/s with [N II]: in the observed frame its blue line lies in the band of H-alpha's peaks."""
    factor = 1 + 97 / 299792.458
    flux = np.ones(RED.n_pixels)
    for wavelength_a, height, sigma in ((6549.86, 0.25, 0.5), (6564.614, 1.5, 2.0), (6585.27, 0.7, 0.5)):
        flux += height * np.exp(-0.5 * ((RED.wavelength_a - wavelength_a * factor) / sigma) ** 2)
    noise = np.random.default_rng(2).normal(0, 0.01, RED.n_pixels)
    arrays = (flux + noise)[None], np.full((1, RED.n_pixels), 1e4), np.array([100.0])
    observed = profile_batch(*arrays)
    found = profile_batch(*arrays, star_velocity_km_s=np.array([97.0]))
    assert observed["n_emission_peaks"].tolist() == [2] and observed["n_significant_peaks"].tolist() == [2]
    assert found["n_emission_peaks"].tolist() == [1] and found["n_significant_peaks"].tolist() == [1]
    assert found["profile_type"].tolist() == ["single peak"]


def test_ripples_of_noise_are_peaks_of_the_paper_only():
    flux = 1 + np.random.default_rng(4).normal(0, 0.05, (50, RED.n_pixels))
    ivar, snr = np.full(flux.shape, 400.0), np.full(50, 20.0)
    paper = measure_batch(flux, ivar, None, None, snr)["n_peaks"]
    assert paper.mean() > 3
    assert profile_batch(flux, ivar, snr)["n_significant_peaks"].mean() < 0.05
