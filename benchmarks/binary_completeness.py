"""How many binaries are found by their velocities, and how many constant stars are taken for binaries.

    python -m benchmarks.binary_completeness [--binaries N] [--constant N] [--seed N] [--workers N] [--csv FILE] [--figure FILE]

Simulated stars are exposed 20 times, each time in another night, as in `benchmarks/epoch_pulls.py`; the reduction and the velocities are becat's,
in memory. What is measured goes into a scratch catalogue, in which the exposures of a star make as many stars of 2, 3, 4, 6, 10 and 20 exposures as
they can, no exposure twice; view `binary_evidence`, on which `be_binary_candidate` stands, then tells whose velocity changes or whose lines are double. --csv writes the table that comes with becat
(etl/data/binary_completeness.csv), --figure the figure of docs/simulation.md. It is also counted of how many stars H-alpha is said to change, and of how many
the core changes alone.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import tempfile
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import duckdb
import matplotlib
import numpy as np
import pandas as pd
from tqdm import tqdm

from becat.etl.catalogue.connection import open_catalogue
from becat.schema import build
from becat.schema.tables import TABLES
from becat.simulate.changing_stars import draw_changing_stars
from becat.simulate.epochs import draw_nights
from becat.simulate.moving import expose_changing, expose_moving
from becat.simulate.orbit import draw_eccentricities
from benchmarks.epoch_pulls import measured

matplotlib.use("Agg")
from matplotlib import pyplot as plt

PERIODS_D = (1.5, 5, 20, 100, 500)
K1_KM_S = (5, 10, 20, 40, 80, 160)
SNRS = (10, 25, 60, 150)
N_EXPOSURES = (2, 3, 4, 6, 10, 20)
EXPOSURES = max(N_EXPOSURES)
STARS_AT_ONCE = 24
# Star kinds: the scenarios of epoch_distributions.toml of the constant ones and of the binaries.
CONSTANT = {"B star": ["constant"], "Be star": ["steady_disc"]}
BINARY = {"B star": ["sb1"], "Be star": ["be_sb1"], "double-lined star": ["sb2"]}
CHANGING = {"Be star whose disc changes": ["vr_cycle", "disc_appears", "disc_fades", "shell_phase"]}
RENDERED_EACH_TIME = {"sb2", *CHANGING["Be star whose disc changes"]}
CHANGING_SHARE = 0.2  # of the constant stars: their discs are rendered at each exposure
# What is measured, and the columns of `spectrum` that go with it.
MEASURED = ("radial_velocity", "line_measurement", "profile_class")
OF_SPECTRUM = ("snr_r", "continuum_error_red")
# Counted besides what the table holds.
COUNTED_BESIDE = ["n_changing", "n_of_core", "n_either"]
KEY = ["star_kind", "period_d", "k1_km_s", "snr", "n_exposures"]


def middle(limits: tuple[float, float]) -> float:
    """Geometric middle of a bin."""
    return round(float(np.sqrt(limits[0] * limits[1])), 3)


def cells(n_binaries: int, n_constant: int):
    """What is simulated: kind, scenarios, limits of period and K1 (None for constant stars), limits of S/N, and how many stars."""
    for kind, snr in itertools.product(BINARY, itertools.pairwise(SNRS)):
        if kind in CONSTANT:
            yield kind, CONSTANT[kind], None, None, snr, n_constant
        for period, k1 in itertools.product(itertools.pairwise(PERIODS_D), itertools.pairwise(K1_KM_S)):
            yield kind, BINARY[kind], period, k1, snr, n_binaries if kind in CONSTANT else -(-n_binaries // 2)
    for kind, snr in itertools.product(CHANGING, itertools.pairwise(SNRS)):
        yield kind, CHANGING[kind], None, None, snr, round(n_constant * CHANGING_SHARE)


def expose(scenarios, period, k1, snr, n, rng):
    """Exposures of n stars of one cell: columns of the tables of `MEASURED` and of spectrum, a row an exposure."""
    stars = draw_changing_stars(rng.choice(scenarios, n), rng)
    mjd = draw_nights(EXPOSURES, rng)
    wanted = np.exp(rng.uniform(np.log(snr[0]), np.log(snr[1]), (n, 1))) * np.ones(EXPOSURES)
    if period:
        stars.orbit["period_d"] = np.exp(rng.uniform(*np.log(period), n))
        stars.orbit["k1_km_s"] = np.exp(rng.uniform(*np.log(k1), n))
        stars.orbit["periastron_mjd"] = mjd[0] - stars.orbit["period_d"] * rng.random(n)
        stars.orbit["eccentricity"] = draw_eccentricities(rng, stars.orbit["period_d"])
    if set(scenarios) & RENDERED_EACH_TIME:
        exposures = expose_changing(stars, mjd, wanted, rng)
    else:
        velocity = np.stack([stars.velocities_km_s(float(time))[0] for time in mjd], axis=1)
        exposures = expose_moving(stars, velocity, wanted, rng)
    columns = measured(exposures, EXPOSURES)
    kept = {column.name for table in MEASURED for column in TABLES[table].columns}.union(OF_SPECTRUM)
    frame = pd.DataFrame({name: values.ravel() for name, values in columns.items() if name in kept})
    return frame.assign(number=np.repeat(np.arange(n), EXPOSURES), mjd=np.tile(mjd, n))


def simulate(n_binaries: int, n_constant: int, seed: int, workers: int = 1) -> pd.DataFrame:
    """All exposures, a row each, with the cell to which they belong."""
    every = [(seed, i, cell) for i, cell in enumerate(cells(n_binaries, n_constant))]
    with ProcessPoolExecutor(workers) as pool:
        parts = list(tqdm(pool.map(_cell, every), total=len(every), unit="cell"))
    first = np.cumsum([0, *(part.number.max() + 1 for part in parts)])
    return pd.concat(
        [part.assign(number=part.number + before) for part, before in zip(parts, first[:-1], strict=True)],
        ignore_index=True,
    )


def _cell(job):
    """Exposures of one cell; its stars are numbered from 0."""
    seed, i, (kind, scenarios, period, k1, snr, n) = job
    rng = np.random.default_rng([seed, i])
    parts = []
    for start in range(0, n, STARS_AT_ONCE):
        part = expose(scenarios, period, k1, snr, min(STARS_AT_ONCE, n - start), rng)
        parts.append(part.assign(number=part.number + start))
    cell = {"star_kind": kind, "period_d": middle(period) if period else 0.0, "k1_km_s": middle(k1) if k1 else 0.0}
    return pd.concat(parts, ignore_index=True).assign(**cell, snr=middle(snr))


def stars_of(exposures: pd.DataFrame, seed: int) -> pd.DataFrame:
    """The exposures dealt out to stars of each number of exposures: columns star_id and n_exposures are new."""
    rng = np.random.default_rng(seed)
    order = exposures.assign(place=rng.random(len(exposures))).sort_values(["number", "place"])
    order["place"] = order.groupby("number").cumcount()
    parts = []
    for n in N_EXPOSURES:
        used = order[order.place < EXPOSURES // n * n]
        parts.append(used.assign(n_exposures=n, star_id=(used.number * EXPOSURES + used.place // n) * 100 + n))
    return pd.concat(parts, ignore_index=True)


def fill(connection: duckdb.DuckDBPyConnection, exposures: pd.DataFrame) -> None:
    """Put stars, spectra and what is measured in them into a scratch catalogue."""
    rows = exposures.assign(
        spectrum_id=np.arange(len(exposures)) + 1, survey="LAMOST MRS", is_simulated=True, file="", coadd=False, has_blue=True,
        resolving_power=7500.0, quality=0, spectrograph=1, plan_id="SM", ra_deg=100.0, dec_deg=20.0,
    )  # fmt: skip
    for table, where in (("star", "group by star_id"), ("spectrum", ""), *((table, "") for table in MEASURED)):
        names = [c.name for c in TABLES[table].columns if c.name in rows]
        values = [f"any_value({name})" if where and name != "star_id" else name for name in names]
        connection.execute(f"insert into {table} ({', '.join(names)}) select {', '.join(values)} from rows {where}")


def judged(exposures: pd.DataFrame) -> pd.DataFrame:
    """Of each star what is said of it: star_id, is_found (a binary), is_changing (H-alpha), is_of_core (its core alone)."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "scratch.duckdb")
        build.create(path)
        with open_catalogue(path) as connection:
            fill(connection, exposures)
            return connection.execute(JUDGED).df()


JUDGED = """
    select
        star_id,
        coalesce(velocity_changes, false) or has_double_lines as is_found,
        coalesce(change_result = 'changes', false) as is_changing,
        coalesce(core_changes_alone, false) as is_of_core
    from binary_evidence left join star_change using (star_id)
"""


def table(exposures: pd.DataFrame) -> pd.DataFrame:
    """Rows of `binary_completeness`, without the run, and how many stars are said to change (n_changing), or by their core alone (n_of_core).

    n_either counts those that are found, or whose core changes alone.
    """
    stars = exposures.drop_duplicates("star_id").merge(judged(exposures), on="star_id")
    stars["is_either"] = stars.is_found | stars.is_of_core
    return (
        stars.groupby(KEY)
        .agg(
            n_stars=("is_found", "size"),
            n_found=("is_found", "sum"),
            **{name: (f"is_{name.removeprefix('n_')}", "sum") for name in COUNTED_BESIDE},
        )
        .reset_index()
    )


def print_summary(rows: pd.DataFrame) -> None:
    """Print false binaries, stars whose H-alpha is said to change, and a table of what is found."""
    counts = {
        "taken for binaries": "n_found",
        "whose H-alpha is said to change": "n_changing",
        "whose core alone is said to change": "n_of_core",
    }
    alone = rows[rows.k1_km_s == 0].groupby(["star_kind", "n_exposures"])[["n_stars", *counts.values()]].sum()
    for title, counted in counts.items():
        print(f"\nStars without a companion {title}, of how many:\n")
        print(f"| stars | {' | '.join(f'{n} exposures' for n in N_EXPOSURES)} |\n|---|{'---:|' * len(N_EXPOSURES)}")
        for kind, part in alone.groupby("star_kind"):
            print(
                f"| {kind} | {' | '.join(f'{f:,} of {n:,}' for f, n in zip(part[counted], part.n_stars, strict=True))} |"
            )
    binary = (
        rows[rows.k1_km_s > 0]
        .groupby(["star_kind", "k1_km_s", "n_exposures"])[["n_stars", "n_found", "n_either"]]
        .sum()
    )
    for title, counted in (("found", "n_found"), ("found, or whose core changes alone", "n_either")):
        share = (binary[counted] / binary.n_stars).unstack("n_exposures")  # noqa: PD010 (no table to pivot)
        print(
            f"\nBinaries {title}, all periods and S/N:\n\n| stars | K1, km/s | {' | '.join(map(str, share.columns))} |"
        )
        print("|---|---:|" + "---:|" * len(share.columns))
        for (kind, k1), values in share.iterrows():
            print(f"| {kind} | {k1:.0f} | {' | '.join(f'{value:.0%}' for value in values)} |")


def draw_figure(rows: pd.DataFrame, path: Path) -> None:
    """Fraction found against K1 for numbers of exposures, a panel for each S/N and kind of star."""
    binary = rows[rows.k1_km_s > 0]
    kinds, snrs = list(BINARY), sorted(binary.snr.unique())
    figure, axes = plt.subplots(
        len(kinds),
        len(snrs),
        figsize=(9, 2.8 * len(kinds)),
        sharex=True,
        sharey=True,
        layout="constrained",
        squeeze=False,
    )
    for (i, kind), (j, snr) in itertools.product(enumerate(kinds), enumerate(snrs)):
        panel = axes[i, j]
        part = binary[(binary.star_kind == kind) & (binary.snr == snr)]
        share = part.groupby(["n_exposures", "k1_km_s"])[["n_stars", "n_found"]].sum()
        for colour, n in zip(plt.cm.viridis(np.linspace(0, 0.9, len(N_EXPOSURES))), N_EXPOSURES, strict=True):
            line = share.loc[n]
            panel.plot(line.index, line.n_found / line.n_stars, "o-", color=colour, ms=3, lw=1.2, label=f"{n}")
        panel.set(xscale="log", ylim=(-0.02, 1.02), title=f"{kind}, S/N {snr:.0f}")
        panel.set_xticks([5, 10, 20, 50, 100], ["5", "10", "20", "50", "100"])
        panel.grid(alpha=0.3)
    for panel in axes[-1]:
        panel.set_xlabel("K1, km/s")
    for panel in axes[:, 0]:
        panel.set_ylabel("fraction found")
    axes[0, 0].legend(title="exposures", fontsize=7, title_fontsize=7)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def main():
    """Simulate, count, print, write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--binaries", type=int, default=3, help="of each kind, period, K1 and S/N")
    parser.add_argument("--constant", type=int, default=120, help="constant stars of each kind and S/N")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=1, help="processes")
    parser.add_argument(
        "--exposures", type=Path, help="keep the velocities in this file (Parquet), or take them from it"
    )
    parser.add_argument("--csv", type=Path, help="write the table")
    parser.add_argument("--figure", type=Path, help="write the figure")
    arguments = parser.parse_args()
    if arguments.exposures and arguments.exposures.exists():
        exposures = pd.read_parquet(arguments.exposures)
    else:
        exposures = simulate(arguments.binaries, arguments.constant, arguments.seed, arguments.workers)
        if arguments.exposures:
            exposures.to_parquet(arguments.exposures)
    rows = table(stars_of(exposures, arguments.seed))
    print_summary(rows)
    if arguments.csv:
        rows.drop(columns=COUNTED_BESIDE).to_csv(
            arguments.csv, index=False, quoting=csv.QUOTE_MINIMAL, lineterminator="\n"
        )
    if arguments.figure:
        draw_figure(rows, arguments.figure)


if __name__ == "__main__":
    main()
