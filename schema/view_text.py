"""Writes into the text of a view what follows from the declared selection.

In a step's own view `{previous}` is the view of the step before, `{passes}` its condition, `{value 40}` the value of a test,
and `{may_pass line_measurement}` what the columns of one table say before it is joined. A line `-- each test: TEXT` becomes
a line for each test, TEXT filled in with its fields; so do `-- each column`, `-- each source` and `-- each step` (all steps,
or those `of spectrum` or `of star`). `-- funnel` becomes the chain that counts.
"""

from __future__ import annotations

import re
from itertools import takewhile

from becat.schema.selection import Selection, Step, Test, bare, key
from becat.schema.sql_names import literal

__all__ = ["fill"]

# What names a spectrum, and ranks it among those of its star.
IDS = ("spectrum_id", "star_id", "snr_r")

EACH = re.compile(
    r"^( *)-- each (test|step|column|value|source)(?: (of|but|with|to|after) ([\w ]+))?: (.*)$", re.MULTILINE
)


def fill(sql: str, view: str, selection: Selection) -> str:
    """The text of a view as it is kept in a catalogue.

    Parameters
    ----------
    sql : str
        Text of its file.
    view : str
        Its name.
    selection : Selection
    """
    step = next((step for step in (*selection.steps, selection.branch) if step.view == view), None)
    sql = sql.replace("-- funnel\n", _funnel(selection)) if "-- funnel\n" in sql else sql
    sql = EACH.sub(lambda found: _each(found, selection), sql)
    return re.sub(r"\{(\w+)(?: ([\w ]+))?\}", lambda found: _word(found[1], found[2] or "", step, selection), sql)


def _word(word: str, of: str, step: Step | None, selection: Selection) -> str:
    """What a word in braces stands for."""
    tests = {str(test.test): test for _, test in selection.tests}
    steps = {str(step.step): step for step in selection.steps}
    match word, of.split():
        case "branch", []:
            return bare(selection.branch.branch)
        case "value", [number]:
            return tests[number].bare_value
        case "test", [number]:
            return tests[number].decided(tests[number].column)
        case "may_pass", [source]:
            return _may_pass(step or next(s for s in selection.steps if source in s.sources), source)
        case "previous", []:
            return selection.steps[selection.steps.index(step) - 1].view
        case "passes", ["of", "step", number]:
            return steps[number].passes("column")
        case "passes", ["to", number, "within" | "beyond" as where, *sources]:
            wanted = [s for s in selection.of("spectrum") if s.step <= int(number)]
            return " and ".join(s.passes() for s in wanted if (set(s.sources) <= set(sources)) == (where == "within"))
        case "passes", ["of", "star"]:
            return " and ".join(s.passes("column") for s in selection.of("star"))
        case "passes", []:
            return step.passes("bare_value" if step.view.startswith("step_") else "column")  # pyright: ignore[reportOptionalMemberAccess]
        case "last_view", []:
            return selection.steps[-1].view
    raise ValueError(f"{{{word} {of}}} means nothing in a view")


def _may_pass(step: Step, source: str) -> str:
    return " and ".join(t.may_pass(source) for t in step.tests if source in {table for table, _ in t.columns})


def _each(found: re.Match, selection: Selection) -> str:
    """The lines that a line `-- each ...` stands for."""
    indent, kind, how, names, text = found.groups()
    wanted = (names or "").split()
    if how in ("to", "after"):  # the tables of the steps up to one, or those that only later steps read
        known = {source for step in selection.of("spectrum") if step.step <= int(wanted[0]) for source in step.sources}
        inside = known if how == "to" else set(selection.sources) - known
        how, wanted = "but", [*(set(selection.sources) - inside), *wanted[1:]]
    if kind == "test":
        rows = [_of_test(step, test) for step, test in selection.tests if how != "of" or step.of in wanted]
        rows = [row for row in rows if how != "with" or row[wanted[0]] != "null"]
    elif kind == "value":
        rows = [
            _of_test(step, test)
            for step, test in selection.tests
            if test.value and test.value.split(".")[-1] != test.column
        ]
        rows = [row for row in rows if row["column"] not in wanted]
    elif kind == "step":
        steps = selection.of(wanted[0]) if wanted else list(selection.steps)
        rows = [_of_step(step, steps[: n + 1]) for n, step in enumerate(steps)]
    elif kind == "source":
        rows = [{"source": source, "key": key(source)} for source in selection.sources if source not in wanted]
    elif wanted == ["spectrum"]:
        rows = [{"column": column} for column in selection.spectrum_columns]
    else:
        rows = [
            {"source": source, "column": column}
            for source, column in selection.columns
            if bool({source, column} & set(wanted)) == (how == "of")
        ]
    return "\n".join(indent + text.format_map(row) for row in rows)


def _of_test(step: Step, test: Test) -> dict[str, str]:
    """What a line of a test can say of it."""
    name = test.parameters[-1] if test.parameters else ""
    return {
        "test": str(test.test),
        "step": str(step.step),
        "name": step.name,
        "quantity": literal(test.quantity),
        "unit": literal(test.unit),
        "of": step.of,
        "parameter": literal(name) if name else "null",
        "decided_by": literal(test.decided_by),
        "passes": test.decided(test.column, f"asks_{test.test}"),
        "known": test.is_known(test.column) if test.known else "null",
        "refuses": _refuses(test),
        "asked": bare(test.asked) or "null",
        "value": test.column if test.value else "null",
        "detail": test.column if test.detail and not test.value else bare(test.detail) or "null",
        "column": test.column,
        "computed": f"{test.bare_value} as {test.column}",
        "fixed": "null" if test.threshold is None else str(test.threshold),
        "is_lower": {"above": "true", "at_least": "true", "outside": "null"}.get(test.side, "false"),
        "low": f"parameter('{test.parameters[0]}')" if test.side == "outside" else "null",
    }


def _refuses(test: Test) -> str:
    """Whether a test is failed with data: where the unknown passes, failing it says that there are some."""
    if test.known:
        return f"not passes_{test.test} and knows_{test.test}"
    known = "" if test.missing == "passes" and not test.passes else f" and {test.column} is not null"
    return f"not passes_{test.test}{known}"


def _of_step(step: Step, to_here: list[Step]) -> dict[str, str]:
    return {
        "step": str(step.step),
        "name": step.name,
        "view": step.view,
        "passes": " and ".join(f"passes_{test.test}" for test in step.tests),
        "condition": step.passes("column"),
        "to_here": " and ".join(f"passes_{s.step}" for s in to_here),
    }


def _funnel(selection: Selection) -> str:
    """Every step of the spectra after the other, each with the tables that it needs; then the stars, by their best spectrum."""
    first, *others = selection.of("spectrum")
    early = list(takewhile(lambda step: not step.sources, others))  # asked of the table spectrum alone: read once
    chained, stars = others[len(early) :], selection.of("star")
    carried = [name for name in _columns_of([*chained, *stars], "spectrum") if name not in IDS]
    flags = "".join(f",\n        {_to_here(others[: n + 1])} as passes_{step.step}" for n, step in enumerate(early))
    parts = [
        f"good as materialized (      -- read once\n    select {', '.join([*IDS, *carried])}{flags}\n    from spectrum\n"
        f"    where coalesce({first.passes()}, false)    -- so DuckDB does not take them for few\n),",
        "good_stars as (select star_id"
        + "".join(f", bool_or(passes_{step.step}) as passes_{step.step}" for step in early)
        + " from good group by star_id),",
    ]
    previous, conditions = "good", [f"good.passes_{early[-1].step}"] if early else []
    for n, step in enumerate(chained):
        text, carried = _chained(step, [*chained[n + 1 :], *stars], previous, conditions, carried)
        parts.append(text)
        previous, conditions = f"step_{step.step}", []
    parts.append(
        f"best as materialized (      -- the best spectrum of each star stands for it\n"
        f"    select *, count(*) over (partition by star_id) as n_spectra\n    from {previous}\n"
        "    where star_id is not null\n"
        "    qualify row_number() over (partition by star_id order by snr_r desc, spectrum_id) = 1\n),"
    )
    parts.append(_stars(selection, carried))
    return "\n".join([*parts, _counts(selection, first, early, chained, stars)]) + "\n"


def _to_here(steps: list[Step]) -> str:
    return " and ".join(step.passes() for step in steps)


def _columns_of(steps: list[Step], source: str) -> list[str]:
    """Columns of a table or view that some steps ask for."""
    found = (column for step in steps for test in step.tests for column in test.columns)
    return list(dict.fromkeys(name for table, name in found if table == source))


def _chained(
    step: Step, later: list[Step], previous: str, conditions: list[str], carried: list[str]
) -> tuple[str, list[str]]:
    """One step of the spectra, and the columns that go on to later ones."""
    joins, known = [], [*IDS, *carried]
    tests = list(step.tests)
    for source in step.sources:
        names = [name for name in _columns_of([step, *later], source) if name not in known]
        if set(_columns_of([step], source)) <= set(known):
            continue
        by, needed = key(source), [test for test in step.tests if test.needs(source)]
        where = f" where {_may_pass(step, source)}" if needed else ""
        rows = f"(select {by}, {', '.join(names)} from {source}{where})"
        joins.append(f"    {'join' if needed else 'left join'} {rows} as {source} on {source}.{by} = {previous}.{by}")
        tests = [test for test in tests if test not in needed]  # asked there
        known += names
    where = " and ".join([*conditions, *(test.kept(test.bare_value) for test in tests)])
    wanted = {name for s in later for test in s.tests for _, name in test.columns}
    carried = [name for name in known if name in wanted and name not in IDS]
    names = [*(f"{previous}.{name}" for name in IDS), *carried]
    lines = [
        f"    select {', '.join(names)}",
        f"    from {previous}",
        *joins,
        *([f"    where {where}"] if where else []),
    ]
    return f"step_{step.step} as materialized (\n" + "\n".join(lines) + "\n),", carried


def _stars(selection: Selection, carried: list[str]) -> str:
    """What is asked of stars, of the few that are left, and what was not carried along for it."""
    branch, stars = selection.branch, selection.of("star")
    sources = dict.fromkeys(
        [*branch.sources_of_branch, *(t for s in stars for test in s.tests for t, _ in test.columns)]
    )
    wanted = {}
    for source in sources:
        names = dict.fromkeys([*_columns_of(stars, source), *re.findall(rf"{source}\.(\w+)", branch.branch)])
        wanted[source] = [name for name in names if name not in (*IDS, *carried)]
    wanted = {source: names for source, names in wanted.items() if names}
    columns = "".join(f", {source}.{name}" for source, names in wanted.items() for name in names)
    joins = "".join(
        f"\n        left join (select {key(source)}, {', '.join(names)} from {source}"
        f" where {key(source)} in (select {key(source)} from best))"
        f" as {source} on {source}.{key(source)} = best.{key(source)}"
        for source, names in wanted.items()
    )
    flags = "".join(f",\n        {step.passes()} as passes_{step.step}" for step in stars)
    return (
        f"stars as materialized (\n    select n_spectra, {bare(branch.branch)} as is_known{flags}\n"
        f"    from (\n        select best.*{columns}\n        from best{joins}\n    ) as found\n),"
    )


def _counts(selection: Selection, first: Step, early: list[Step], chained: list[Step], stars: list[Step]) -> str:
    rows = [
        ("0", "'spectra'", "(select count(*) from spectrum)", "(select count(*) from star)", ""),
        (
            str(first.step),
            f"'{first.name}'",
            "(select count(*) from good)",
            "(select count(star_id) from good_stars)",
            "",
        ),
    ]
    for step in early:
        passing = f"where passes_{step.step}"
        rows.append((str(step.step), f"'{step.name}'", f"(select count(*) from good {passing})",
                     f"(select count(star_id) from good_stars {passing})", ""))  # fmt: skip
    for step in chained:
        rows.append((str(step.step), f"'{step.name}'", "count(*)", "count(distinct star_id)",
                     f"from step_{step.step}"))  # fmt: skip
    branch = selection.branch
    rows.append((str(branch.step), f"'{branch.name}'", "sum(n_spectra)", "count(*)", "from stars where is_known"))
    for n, step in enumerate(stars):
        passing = " and ".join(f"passes_{s.step}" for s in stars[: n + 1])
        rows.append(
            (
                str(step.step),
                f"'{step.name}'",
                "sum(n_spectra)",
                "count(*)",
                f"from stars where not is_known and {passing}",
            )
        )
    everything = " and ".join(f"passes_{s.step}" for s in stars)
    rows.append(("110", "'classical_be'", "sum(n_spectra)", "count(*)", f"from stars where is_known or ({everything})"))
    known = str(branch.step)
    words = {known: "'known'", "110": "'all'"} | {str(step.step): "'new'" for step in stars}
    selects = [
        f"select {number} as step, {name} as name, {words.get(number, chr(39) + 'all' + chr(39))} as branch,"
        f" {spectra} as spectra, {n} as stars {source}".rstrip()
        for number, name, spectra, n, source in rows
    ]
    return "counts as (\n    " + "\n    union all\n    ".join(selects) + "\n),"
