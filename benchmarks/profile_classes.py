"""Measured profile classes against the truth of simulated spectra: confusion matrices and recall of shell lines.

    python -m benchmarks.profile_classes [number of profiles]

The samples: profiles of generator a of seed 20, on which the thresholds were set; of seed 120, and of generator b, on which nothing
was, with the second look at absorption where the classifier sees a Be star; and whole red arms of generator a at medium resolution (a quarter as many), with the lines that show the star's rotation, which
the profiles do not reach. Radial velocities are given for the profiles and not for the arms, as in a catalogue without them.
"""

from __future__ import annotations

import sys

import numpy as np

from becat.etl.readers.spectrum import RawArm
from becat.etl.reduce import reduce_batch
from becat.models.score import Scorer
from becat.schema.grid import RED
from becat.schema.lines import SPEED_OF_LIGHT_KM_S
from becat.schema.parameters import load
from becat.simulate.sample import WINDOW, sample_profiles
from becat.simulate.spectra import draw_stars, expose
from becat.udfs import profile_batch

CLASSES = ("absorption", "emission", "emission with shell", "absorption with shell")
_LABELS = ((1, "Be, feature visible"), (0, "not Be"), (-1, "feature too weak to be seen"))
# Kinds of the sample of whole arms, and their shares.
_ARM_KINDS = {
    "shell_absorption": 4, "shell_emission": 3, "emission": 3, "absorption": 4, "absorption_core": 4, "sb2": 2,
    "composite": 2, "supergiant": 1, "late": 4, "weak": 1,
}  # fmt: skip


def classify(n, seed, generator="a", kinds=None):
    """Simulated profiles and what is measured on them.

    Parameters
    ----------
    n : int
        Number of profiles.
    seed : int
        Seed of the simulation.
    generator : {"a", "b", "c"}
        Generator of `becat.simulate.sample`.
    kinds : list of str, optional
        Only these kinds.

    Returns
    -------
    profiles : becat.simulate.sample.Profiles
    measured : dict of (n,) arrays
        Columns of profile_class.
    """
    profiles = sample_profiles(n, np.random.default_rng(seed), generator, kinds)
    truth = profiles.truth
    velocity = np.where(np.isfinite(truth["rv_km_s"]), truth["rv_km_s"], 0.0)
    return profiles, profile_batch(*on_grid(profiles), truth["snr"], velocity, truth["resolving_power"])


def on_grid(profiles):
    """Flux and inverse variance of profiles on the grid of the red arm: two (n, 4001) float arrays."""
    flux = np.full((len(profiles.flux), RED.n_pixels), np.nan, dtype=np.float32)
    ivar = np.zeros_like(flux)
    flux[:, WINDOW], ivar[:, WINDOW] = profiles.flux, profiles.ivar
    return flux, ivar


def candidate_classes(second_look, is_be):
    """The class that the selection gives (macro candidate_class), without anybody's word.

    Parameters
    ----------
    second_look : (n,) str array
        Column profile_class_on_second_look.
    is_be : (n,) bool array
        Whether the classifier calls the profile that of a Be star.

    Returns
    -------
    (n,) str array
    """
    weak = np.char.startswith(second_look, "weak ")
    seen = np.where(weak, np.where(is_be, np.char.replace(second_look, "weak ", ""), "absorption"), second_look)
    return np.where((seen == "absorption") & is_be, "unclassified", seen)


def classify_arms(n, seed, kinds=None):
    """Simulated red arms at medium resolution, reduced, and what is measured on them.

    Parameters
    ----------
    n : int
        About how many spectra.
    seed : int
    kinds : dict of str to int, optional
        Kinds of distributions.toml and their shares.

    Returns
    -------
    simulated : becat.simulate.spectra.Simulated
    measured : dict of (n,) arrays
        Columns of profile_class.
    """
    rng = np.random.default_rng(seed)
    shares = kinds or _ARM_KINDS
    kind = np.repeat(list(shares), [max(1, n * share // sum(shares.values())) for share in shares.values()])
    snr = np.exp(rng.uniform(np.log(20), np.log(200), len(kind)))
    simulated = expose(draw_stars(kind, rng), snr, rng, arms=("red",))
    red = simulated.coadd["red"]
    arms = [
        RawArm("red", red.wavelength_a, flux, np.where(mask == 0, ivar, 0), (mask != 0) | (ivar <= 0), float(one_snr))
        for flux, ivar, mask, one_snr in zip(red.flux, red.ivar, red.mask, red.snr, strict=True)
    ]
    power = np.full(len(arms), 7500.0)
    reduced = reduce_batch(arms, RED, resolving_power=power)
    return simulated, profile_batch(reduced.flux, reduced.ivar, red.snr, None, power)


def shell_is_visible(truth):
    """Whether a simulated shell line takes away enough light to be seen: 5 errors of a difference, and 10 % of the flux.

    Parameters
    ----------
    truth : dict of (n,) arrays
        Of generator a.

    Returns
    -------
    (n,) bool array
    """
    fwhm, instrument = truth["shell_fwhm_km_s"], SPEED_OF_LIGHT_KM_S / truth["resolving_power"]
    seen_fwhm = np.hypot(fwhm, instrument)
    depth = -np.expm1(-truth["shell_optical_depth"]) * fwhm / seen_fwhm
    pixels = seen_fwhm / SPEED_OF_LIGHT_KM_S * 6564.6 / truth["step_a"]
    return (depth > 0.1) & (depth * truth["snr"] * np.sqrt(pixels) > 5 * np.sqrt(2))


def _print_tables(title, kind, label, found):
    print(f"\n## {title}")
    for value, words in _LABELS:
        kinds = [name for name in sorted(set(kind)) if ((kind == name) & (label == value)).any()]
        if kinds:
            print(f"\n{words}\n\n| simulated kind | {' | '.join(CLASSES)} |\n|---|{'---:|' * len(CLASSES)}")
        for name in kinds:
            counts = [np.sum((kind == name) & (label == value) & (found == c)) for c in CLASSES]
            print(f"| {name} | {' | '.join(map(str, counts))} |")


def _print_shells(kind, label, found, rows, words):
    """Share of simulated shells that are called so, and of others that are called so too."""
    called = np.isin(found, CLASSES[2:])
    shell = np.isin(kind, ["shell_emission", "shell_absorption"]) & (label == 1)
    for name in ("shell_emission", "shell_absorption"):
        mine = rows & shell & (kind == name)
        print(f"{name}, {words}: {called[mine].sum()} of {mine.sum()} called shell")
    print(f"not Be called shell: {called[label == 0].sum()} of {np.sum(label == 0)}")


def main(n=4000):
    """Print the confusion matrices, the recall of shell lines, and how V/R of double peaks comes back."""
    scorer = Scorer()
    for generator, seed, title in (
        ("a", 20, "Profiles of generator a, seed 20: thresholds were set on these"),
        ("a", 120, "Profiles of generator a, seed 120: nothing was set on them"),
        ("b", 21, "Profiles of generator b: nothing was set on it"),
    ):
        profiles, measured = classify(n, seed, generator)
        found = measured["profile_class"].astype(str)
        _print_tables(title, profiles.kind, profiles.label, found)
        print()
        sharp = profiles.truth["resolving_power"] > 5000
        _print_shells(profiles.kind, profiles.label, found, sharp, "R > 5000")
        _print_candidates(profiles, measured, scorer.score(*on_grid(profiles)))
        if seed == 20:
            seen = sharp & shell_is_visible(profiles.truth)
            _print_shells(profiles.kind, profiles.label, found, seen, "R > 5000, shell line itself visible")
            _print_ratios(profiles, measured)
    simulated, measured = classify_arms(n // 4, seed=22)
    found = measured["profile_class"].astype(str)
    _print_tables("Whole red arms of generator a, R = 7500, S/N 20-200", simulated.kind, simulated.label, found)
    print()
    _print_shells(simulated.kind, simulated.label, found, np.ones(len(found), bool), "red arms")


def _print_candidates(profiles, measured, probability):
    """What the selection calls those that the classifier calls Be, and what the rules alone call those that are none."""
    is_be = probability >= load()["be_probability_min"].value
    found = candidate_classes(measured["profile_class_on_second_look"].astype(str), is_be)
    names = [*CLASSES[1:], "unclassified"]
    print(
        f"\nCalled Be by the classifier, of those whose feature is visible\n\n| simulated kind | visible | called Be | {' | '.join(names)} |"
    )
    print(f"|---|{'---:|' * (len(names) + 2)}")
    for kind in sorted(set(profiles.kind[profiles.label == 1])):
        visible = (profiles.kind == kind) & (profiles.label == 1)
        counts = [np.sum(visible & is_be & (found == name)) for name in names]
        print(f"| {kind} | {visible.sum()} | {np.sum(visible & is_be)} | {' | '.join(map(str, counts))} |")
    none = profiles.label == 0
    by_rules = measured["profile_class"].astype(str)
    print(
        f"\n{none.sum()} not Be: the rules alone call {np.sum(none & (by_rules == 'emission'))} emission and"
        f" {np.sum(none & np.isin(by_rules, CLASSES[2:]))} shell; the classifier calls {np.sum(none & is_be)} Be, of which"
        f" {np.sum(none & is_be & (found == 'emission'))} are in emission then"
    )


def _print_ratios(profiles, measured):
    double = (profiles.kind == "emission") & (profiles.truth["n_peaks"] == 2) & (profiles.label == 1)
    double &= np.isfinite(measured["violet_red_ratio"]) & (profiles.truth["resolving_power"] > 5000)
    print(f"\n{double.sum()} simulated double peaks at R > 5000 with both peaks found:")
    ratio = measured["violet_red_ratio"][double] / profiles.truth["violet_red_ratio"][double]
    print(
        f"V/R measured over true: median {np.median(ratio):.3f}, middle 68 % {np.percentile(ratio, [16, 84]).round(3)}"
    )


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
