"""A star in time, for its page: its epochs, what they say in words, and its light curves, averaged to what a plot can show."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from becat.publish.epoch_words import epoch_words, missing_words

__all__ = ["CHANGE", "COMPANION", "EPOCHS", "LIGHT_CURVES", "PERIOD", "in_time"]

POINTS_MAX = 1500  # of one light curve
VELOCITIES = ("rv_km_s", "rv_primary_km_s", "rv_secondary_km_s", "rv_release_km_s")
EPOCHS = """
    select spectrum_id, mjd, night, counts, ew_halpha_a, e_ew_halpha_a, violet_red_ratio, e_violet_red_ratio, rv_method,
        rv_km_s, e_rv_km_s, rv_primary_km_s, e_rv_primary_km_s, rv_secondary_km_s, e_rv_secondary_km_s,
        rv_release_km_s, e_rv_release_km_s
    from epoch where star_id = :star order by mjd, spectrum_id"""
CHANGE = """
    select star_change.*, kind_of_change
    from star_change left join variable_be on variable_be.star_id = star_change.star_id
    where star_change.star_id = :star"""
COMPANION = "select evidence, velocity_result, rv_difference_km_s, n_velocities, decided_by from binary_evidence where star_id = :star"
PERIOD = """
    select * from star_period where star_id = :star and false_alarm_probability <= (
        select value from selection_parameter where name = 'period_false_alarm_max')
    order by false_alarm_probability limit 1"""
# Means of so many neighbours in time that POINTS_MAX are left; a single measurement keeps its error.
LIGHT_CURVES = f"""
    with
    points as (
        select source, band, is_limit, mjd, relative_flux is null as is_magnitude,
            coalesce(magnitude_mag, relative_flux) as y, coalesce(e_magnitude_mag, e_relative_flux) as e
        from light_curve where star_id = :star
    ),
    placed as (
        select *,
            row_number() over (partition by source, band, is_limit, is_magnitude order by mjd) - 1 as place,
            (count(*) over (partition by source, band, is_limit, is_magnitude) + {POINTS_MAX - 1}) / {POINTS_MAX} as mean_of
        from points
    )
    select source, band, is_limit, is_magnitude, mean_of, avg(mjd) as mjd, avg(y) as y, case when mean_of = 1 then max(e) end as e
    from placed
    group by source, band, is_limit, is_magnitude, mean_of, place / mean_of
    order by is_magnitude desc, source, band, is_limit, mjd"""


def in_time(context: dict) -> dict:
    """What the page says of the star in time.

    Parameters
    ----------
    context : dict
        Rows of ``epochs`` and ``light``, and the rows ``change``, ``companion`` and ``period``, empty if there are none.

    Returns
    -------
    dict
        ``epoch_words`` (sentences), ``drawn_epochs`` (rows; none if there is only one), ``epoch_of`` (row by spectrum), ``has_velocity``,
        ``light_curves`` and ``light_names`` (of how many measurements their points are means).
    """
    epochs = context["epochs"]
    counted = [row for row in epochs if row["counts"]]
    drawn = [row for row in counted if row["mjd"] is not None]
    has_ratio, has_velocity = (
        any(row[name] is not None for row in drawn for name in names) for names in (("violet_red_ratio",), VELOCITIES)
    )
    n_nights = len({row["night"] for row in epochs if row["night"] is not None})
    curves = _light_curves(context["light"])
    names: dict[str, int] = {}
    for curve in curves:
        names[curve["name"]] = max(curve["mean_of"], names.get(curve["name"], 1))
    words = epoch_words(len(epochs), n_nights, len(drawn), context["change"], context["companion"], context["period"])
    if epochs:
        words += missing_words(has_ratio, has_velocity, len(counted) - len(drawn))
    return {
        "epoch_words": words,
        "drawn_epochs": drawn if len(drawn) > 1 else [],
        "epoch_of": {row["spectrum_id"]: row for row in epochs},
        "has_velocity": has_velocity,
        "light_curves": curves,
        "light_names": names,
    }


def _light_curves(rows: Sequence[dict]) -> list[dict]:
    """Rows of `LIGHT_CURVES` as curves: a name, times, values and errors each."""
    found = []
    of = ("source", "band", "is_limit", "is_magnitude", "mean_of")
    for (source, band, is_limit, is_magnitude, mean_of), points in groupby(
        rows, lambda row: tuple(row[key] for key in of)
    ):
        name = source if band in (None, source) else f"{source} {band}"
        curve = {"name": name, "is_limit": bool(is_limit), "is_magnitude": bool(is_magnitude), "mean_of": mean_of}
        mine = list(points)
        found.append(curve | {key: [row[key] for row in mine] for key in ("mjd", "y", "e")})
    return found
