"""Reads the thresholds of a query once: `parameter('name')` becomes a column of one row that the query is joined to.

The files of the views say `parameter('snr_min')`, or call a macro that does, wherever they need a threshold. DuckDB plans
each such subquery by itself, a millisecond apiece, and a view that stands on ten others has dozens of them. So the
catalogue keeps the same query with one more row to join to: plain SQL still, and it still follows selection_parameter.

A view that only looks something up ends with a join that says which rows are simulated. A view that reads it knows that from
elsewhere, and each join costs planning: so it is kept with the query before the join, `bare`, in its place.

A closed catalogue forgets `not materialized`, and a part that is read twice is then made whole before a row is asked for. So what is
marked so is written out wherever it is read.
"""

from __future__ import annotations

from functools import cache

import sqlglot
from sqlglot import exp

__all__ = ["bind"]

ROW, BARE, UNMADE = "threshold_row", "bare", "not materialized"


def bind(sql: str, macros, views=()) -> str:
    """A query of DuckDB's dialect that reads its thresholds from a joined row.

    Parameters
    ----------
    sql : str
        A select statement that may call `parameter` and the macros.
    macros : dict of str to Macro
        Arguments and expression of each macro; those that need a threshold are written out.
    views : iterable of View, optional
        All views; those with a part `bare` are written out as that part.

    Returns
    -------
    str
        The query, with what is `not materialized` in the place of its names. A threshold in a condition of a join, or beside a group, stays a subquery.

    Raises
    ------
    ValueError
        A `*` stands for more than one table, where the joined row would come with it.
    """
    needing = _needing_thresholds(tuple((name, *macro[:2]) for name, macro in macros.items()))
    looked_up = {v.name: v.sql for v in views if f"{BARE} as (" in v.sql and v.name in sql and v.sql != sql}
    if not looked_up and not any(word in sql for word in (UNMADE, *(f"{name}(" for name in (*needing, "parameter")))):
        return sql
    tree = _written_out(_unmade(_bare(sqlglot.parse_one(sql, read="duckdb"), looked_up)), needing)
    for select in list(tree.find_all(exp.Select)):
        _join_row(select)
    return tree.sql(dialect="duckdb")


@cache
def _needing_thresholds(macros):
    """Arguments and expression of every macro that needs a threshold, itself or through others."""
    parsed = {name: (arguments, sqlglot.parse_one(sql, read="duckdb")) for name, arguments, sql in macros}
    parsed.pop("parameter", None)
    needing: set[str] = set()
    while True:
        found = {n for n, (_, body) in parsed.items() if _called(body) & (needing | {"parameter"})}
        if found == needing:
            return {name: parsed[name] for name in needing}
        needing = found


def _bare(tree, looked_up):
    """The queries of views that are looked up in the place of their names, without what says which rows are simulated."""
    own = {part.alias for part in tree.find_all(exp.CTE)}
    for table in [table for table in tree.find_all(exp.Table) if table.name in looked_up and table.name not in own]:
        query = sqlglot.parse_one(looked_up[table.name], read="duckdb")
        parts = query.args.get("with_") or query.args["with"]
        *before, bare = parts.expressions[: [part.alias for part in parts.expressions].index(BARE) + 1]
        for part in before:
            bare.this.with_(part.alias, part.this, append=True, copy=False)
        table.replace(bare.this.subquery(table.alias_or_name))
    return tree


def _unmade(tree):
    """The parts that are not to be materialised in the place of their names."""
    for part in [part for part in tree.find_all(exp.CTE) if part.args.get("materialized") is False]:
        for table in [table for table in tree.find_all(exp.Table) if table.name == part.alias]:
            table.replace(part.this.copy().subquery(table.alias_or_name))
        part.pop()
    return tree


def _called(tree):
    return {call.name.lower() for call in tree.find_all(exp.Anonymous)}


def _written_out(tree, macros):
    """The expressions of macros in the place of their calls."""

    def expand(node):
        if not isinstance(node, exp.Anonymous) or node.name.lower() not in macros:
            return node
        arguments, body = macros[node.name.lower()]
        values = dict(zip(arguments, node.expressions, strict=True))

        def substitute(part):
            value = values.get(part.name.lower()) if isinstance(part, exp.Column) and not part.table else None
            return part if value is None else exp.paren(value.copy())

        return exp.paren(_written_out(body.copy().transform(substitute), macros))

    return tree.transform(expand)


def _join_row(select):
    """Join the row of thresholds that one select needs, and take them from there."""
    source = select.args.get("from_") or select.args.get("from")
    calls = [
        call
        for call in select.find_all(exp.Anonymous)
        if call.name.lower() == "parameter" and call.find_ancestor(exp.Select, exp.Join, exp.AggFunc) is select
    ]
    if source is None or select.args.get("group") or not calls:
        return
    for star in [column for column in select.expressions if isinstance(column, exp.Star)]:
        if select.args.get("joins"):
            raise ValueError(f"say of which table: {select.sql(dialect='duckdb')}")
        star.replace(exp.column(exp.Star(), table=source.this.alias_or_name))
    names = sorted({call.expressions[0].name for call in calls})
    for call in calls:
        call.replace(exp.column(call.expressions[0].name, table=ROW))
    values = ", ".join(f"max(case when name = '{name}' then value end) as {name}" for name in names)
    row = sqlglot.parse_one(f"select {values} from selection_parameter", read="duckdb", into=exp.Select)
    select.join(row.subquery(ROW), join_type="cross", copy=False)
