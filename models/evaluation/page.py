"""The tables of an evaluation as a page of Markdown; `becat evaluate` writes it, nobody edits it."""

from __future__ import annotations

import numpy as np

from becat.models.score import NETWORKS

__all__ = ["page"]

_HEAD = "| group | Be found | Be missed | false Be | not Be | right | 95 % interval | ROC area | found at 1 % false |"
_RULE = "|---|---|---|---|---|---|---|---|---|"
_SIMULATED = {
    "a": "Simulated, generator a (the one that trains; new draws)",
    "b": "Simulated, generator b (other physics, never trained on)",
    "c": "Simulated, generator c (radiative transfer, never trained on)",
}


def page(result: dict, completeness: list[dict], figures: str) -> str:
    """All tables, with links to the figures.

    Parameters
    ----------
    result : dict
        Of `becat.models.evaluation.evaluate.evaluate`.
    completeness : list of dict
        Of `becat.models.evaluation.completeness.completeness`.
    figures : str
        Path from the page to the folder of the figures, with its slash; empty where they lie beside it.

    Returns
    -------
    str
    """
    real = " --catalog CATALOGUE --labels models/real_labels.csv" if "real" in result else ""
    lines = [
        "# Evaluation of the classifiers",
        "",
        f"Written by `becat evaluate DIRECTORY{real} --spectra {result['n']} --docs docs/classifier_evaluation.md`."
        f" Model {result['model_id']}, threshold {result['threshold']}, {result['n']} simulated spectra per table, run by"
        f" {result['provider']}.",
        "",
        "Only spectra that belong to a class are counted; features that cannot be seen are in the completeness table. The ROC of a"
        " class compares it with all spectra of the other label. *Found at 1 % false*: the fraction of Be spectra above the probability"
        " that one in a hundred of the others exceeds. *Significance*: by how many sigma the spectrum differs from its own star"
        " without the feature, or from every star without a disc, whichever is less; from five on it is labelled Be.",
    ]
    lines += _side_by_side(result)
    for generator, title in _SIMULATED.items():
        lines += _simulated(title, generator, result[f"simulated_{generator}"], figures)
    if "real" in result:
        lines += _real(result["real"])
    lines += ["", "## ROC curves and confusion matrices", "", f"![ROC curves]({figures}classifier_roc.png)", ""]
    lines += [f"![confusion matrices]({figures}classifier_confusion.png)"]
    lines += ["", "## Reliability", "", f"![reliability]({figures}classifier_reliability.png)", ""]
    lines += [*_reliability(result), *_flips(result["flips"]), *_completeness(completeness, figures)]
    return "\n".join(lines) + "\n"


def _side_by_side(result) -> list[str]:
    """Each classifier on the same spectra, and what a sky line does to it."""
    lines = []
    if result["side_by_side"]:
        lines += [
            "",
            "## The classifiers side by side, S/N >= 10",
            "",
            "| spectra | classifier | Be missed | of these under 8 sigma | false Be | of | right | calibration error |",
        ]
        lines += ["|---|---|---|---|---|---|---|---|"]
    for spectra, rows in result["side_by_side"].items():
        for name, row in rows.items():
            total = sum(row[key] for key in ("be_found", "be_missed", "false_be", "not_be"))
            right = (row["be_found"] + row["not_be"]) / total
            weak, error = row.get("missed_under_8_sigma", ""), row.get("expected_calibration_error", "")
            lines.append(
                f"| {spectra} | {name} | {row['be_missed']} | {weak} | {row['false_be']} | {total} | {right:.2%} | {error} |"
            )
    for spectra, rows in result["side_by_side"].items():
        for name, row in rows.items():
            if row.get("wrong"):
                wrong = ", ".join(f"{file} ({p})" for file, p in row["wrong"].items())
                lines += ["", f"Wrong by {name} ({spectra}): {wrong}"]
    lines += _each_for_itself(result["each_for_itself"])
    if "sky_line" in result:
        lines += [
            "",
            "## A sky line beside H-alpha, OH 6555.43 A, hidden or added: real spectra without emission, never trained on",
            "",
        ]
        lines += ["| classifier | change | spectra | decisions that change | to Be |", "|---|---|---|---|---|"]
        for name, rows in result["sky_line"].items():
            lines += [
                f"| {name} | {change} | {row['n']} | {row['n_flipped']} ({row['flip_rate']:.2%}) | {row['n_to_be']} |"
                for change, row in rows.items()
            ]
    if result.get("neither"):
        told = ", ".join(f"{name} ({p})" for name, p in result["neither"].items())
        lines += ["", f"Of neither class, with the probability: {told}"]
    return lines


def _each_for_itself(table) -> list[str]:
    """What each of the two networks is good for beside the other."""
    if not table:
        return []
    lines = [
        "",
        "## What each is good for",
        "",
        "How often both networks are right, one of them errs, or both do, and how many of these spectra the combination calls wrongly. Where"
        " one errs alone, the other is what saves the spectrum.",
        "",
        "| spectra | both right | only resnet18 errs: wrong by both together | only profile errs: wrong by both together | both err |",
        "|---|---|---|---|---|",
    ]
    for spectra, row in table.items():
        first, second = (f"{row[name]['n']}: {row[name]['both_wrong']}" for name in NETWORKS)
        lines.append(f"| {spectra} | {row['right']['n']} | {first} | {second} | {row['wrong']['n']} |")
    return lines


def _simulated(title, generator, part, figures) -> list[str]:
    lines = ["", f"## {title}", "", _HEAD, _RULE, _line("all", part["all"]), _line("S/N >= 10", part["snr_over_10"])]
    for name, group in part["by"].items():
        lines += [_line(f"{name} {label}", row) for label, row in group.items()]
    return [*lines, *_misses(generator, part, figures)]


def _misses(generator, part, figures) -> list[str]:
    """What the errors are: counts and medians by class, and the picture of the most certain ones."""
    misses = part["misses"]
    if not misses:
        return ["", "No error at S/N >= 10."]
    lines = [
        "",
        f"Errors at S/N >= 10 by class, with the medians of their S/N, resolution and significance of the feature"
        f" ({len(misses)} errors):",
        "",
        "| class | called | errors | of | S/N | resolution | significance | emission EW (A) | v sin i (km/s) |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for kind, row in part["by"]["class"].items():
        mine = [miss for miss in misses if miss["kind"] == kind]
        if mine:
            called = "not Be" if mine[0]["label"] == 1 else "Be"
            of = row["be_found"] + row["be_missed"] + row["false_be"] + row["not_be"]
            names = ("snr", "resolving_power", "significance", "ew_emission_a", "v_sin_i_km_s")
            values = " | ".join(_median(mine, name) for name in names)
            lines.append(f"| {kind} | {called} | {len(mine)} | {of} | {values} |")
    return [*lines, "", f"![errors of generator {generator}]({figures}classifier_misses_{generator}.png)"]


def _median(misses, name) -> str:
    values = [miss[name] for miss in misses if name in miss]
    return f"{np.median(values):.3g}" if values else ""


def _real(real) -> list[str]:
    lines = ["", "## Real spectra with S/N over 10", "", _HEAD, _RULE]
    for side, part in real.items():
        lines.append(_line(side, part["all"]))
        for name, group in part["by"].items():
            lines += [_line(f"{side}, {name} {label}", row) for label, row in group.items()]
    for side, part in real.items():
        named = ", ".join(f"{name} ({p})" for name, p in part["wrong"].items()) or "none"
        lines += ["", f"Wrong ({side}), with the probability: {named}"]
    return lines


def _reliability(result) -> list[str]:
    lines = []
    for generator in _SIMULATED:
        part = result[f"simulated_{generator}"]
        table = part["reliability"]
        lines += [
            f"Generator {generator}, S/N >= 10: expected calibration error {part['expected_calibration_error']:.4f}.",
            "",
            "| mean probability | observed fraction | spectra |",
            "|---|---|---|",
            *(
                f"| {p:.3f} | {o:.3f} | {m} |"
                for p, o, m in zip(table["probability"], table["observed"], table["n"], strict=True)
                if m
            ),
            "",
        ]
    return lines


def _flips(table) -> list[str]:
    lines = [
        "## Irrelevant changes, S/N >= 20",
        "",
        "Noise redrawn: two observations of one spectrum, each with its noise added once more, at native pixels.",
        "",
        "| spectra | change | number | decisions that flip | median change of the probability |",
        "|---|---|---|---|---|",
    ]
    for name, changes in table.items():
        lines += [
            f"| {name} | {change} | {f['n']} | {f['n_flipped']} ({100 * f['flip_rate']:.2f} %) | {f['median_change']:.4f} |"
            for change, f in changes.items()
        ]
    return lines


def _completeness(rows, figures) -> list[str]:
    return [
        "",
        "## Completeness",
        "",
        f"![completeness]({figures}classifier_completeness.png)",
        "",
        "| host | emission EW (A) | S/N | v sin i (km/s) | injected | found |",
        "|---|---|---|---|---|---|",
        *(
            f"| {r['host']} | {r['ew_emission_a']:g} | {r['snr']:g} | "
            f"{'' if r['v_sin_i_km_s'] < 0 else format(r['v_sin_i_km_s'], 'g')} | {r['n_injected']} |"
            f" {100 * r['n_detected'] / r['n_injected']:.0f} % |"
            for r in rows
        ),
    ]


def _line(name: str, f: dict) -> str:
    area = "" if f["roc_area"] is None else f"{f['roc_area']:.4f}"
    found = "" if f["found_at_1_percent_false"] is None else f"{100 * f['found_at_1_percent_false']:.1f} %"
    return (
        f"| {name} | {f['be_found']} | {f['be_missed']} | {f['false_be']} | {f['not_be']} | {100 * f['accuracy']:.2f} % |"
        f" {100 * f['accuracy_low']:.1f}-{100 * f['accuracy_high']:.1f} % | {area} | {found} |"
    )
