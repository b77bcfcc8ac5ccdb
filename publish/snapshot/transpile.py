"""Carry the SQL of a catalogue's views from DuckDB's dialect to SQLite's, with macros written out."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache, lru_cache

import duckdb
import sqlglot
from sqlglot import exp

from becat.publish.snapshot.syntax import bottom_up

__all__ = ["Macro", "inline", "read_macros", "to_sqlite", "with_views"]

DEPTH_MAX = 20
COMPARISON = (exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE, exp.Is, exp.In, exp.Between, exp.Not)
ATOM = (exp.Paren, exp.Subquery, exp.Column, exp.Literal, exp.Func)


@dataclass(frozen=True, eq=False)
class Macro:
    """A scalar SQL macro: the names of its arguments and the expression that it stands for, which nobody changes."""

    arguments: tuple[str, ...]
    body: exp.Expr


def read_macros(connection: duckdb.DuckDBPyConnection) -> dict[str, Macro]:
    """Scalar macros that a catalogue defines, by lower-case name."""
    rows = connection.execute(
        "select function_name, parameters, macro_definition from duckdb_functions()"
        " where function_type = 'macro' and not internal and schema_name = current_schema()"
    ).fetchall()
    return {
        name.lower(): _macro(tuple(argument.lower() for argument in arguments), definition)
        for name, arguments, definition in sorted(rows)
    }


@cache
def _macro(arguments: tuple[str, ...], definition: str) -> Macro:
    """One object for one definition, however many catalogues hold it."""
    return Macro(arguments, sqlglot.parse_one(definition, read="duckdb"))


def inline(tree: exp.Expr, macros: dict[str, Macro]) -> exp.Expr:
    """Replace every call of a macro by its body, until none is left (macros may call macros).

    Parameters
    ----------
    tree : Expression
        Is changed itself.
    macros : dict of str to Macro

    Raises
    ------
    ValueError
        Macros call each other without end.
    """
    return _inlined(tree, macros, 0)


def _inlined(tree: exp.Expr, macros: dict[str, Macro], depth: int) -> exp.Expr:
    def is_call(node: exp.Expr) -> bool:
        return isinstance(node, exp.Anonymous) and node.name.lower() in macros

    if depth > DEPTH_MAX:
        raise ValueError("macros call each other without end")
    for call in [node for node in tree.walk(prune=is_call) if is_call(node)]:
        body = _inlined(_expand(macros[call.name.lower()], call.expressions), macros, depth + 1)
        if call is tree:
            return body
        call.replace(body)
    return tree


def _expand(macro: Macro, values: list[exp.Expr]) -> exp.Expr:
    """The body with the values in place; a long value that it uses more than once is computed once, in a subquery."""
    arguments = dict(zip(macro.arguments, values, strict=True))
    uses = [node.name.lower() for node in macro.body.find_all(exp.Column) if not node.table]
    bound = {
        name: value
        for name, value in arguments.items()
        if uses.count(name) > 1 and not isinstance(value, exp.Column | exp.Literal)
    }
    if any(column.name.lower() in bound for value in arguments.values() for column in value.find_all(exp.Column)):
        bound = arguments  # a name of the caller's would be taken for the one bound here

    def substitute(part: exp.Expr) -> exp.Expr:
        # A qualified name is a column of the macro's own tables, never an argument.
        if not isinstance(part, exp.Column) or part.table:
            return part
        value = None if part.name.lower() in bound else arguments.get(part.name.lower())
        return part if value is None else exp.paren(value.copy())

    body = macro.body.copy().transform(substitute, copy=False)
    if not bound:
        return body if isinstance(body, exp.Subquery) else exp.paren(body)
    once = exp.select(*(exp.alias_(value.copy(), name) for name, value in bound.items()))
    return exp.select(body).from_(once.subquery("argument")).subquery()


def to_sqlite(sql: str, macros: dict[str, Macro], columns: Iterable[str] = ()) -> str:
    """One query of DuckDB in SQLite's dialect.

    Parameters
    ----------
    sql : str
        A select statement in DuckDB's dialect.
    macros : dict of str to Macro
        From `read_macros`; their calls are written out.
    columns : iterable of str
        What the query gives, in order: stands for the star of a query that takes everything from another, since what stands for
        ``qualify`` in SQLite adds columns of its own there.

    Returns
    -------
    str
        The query, laid out over lines, without a closing semicolon.
    """
    return _to_sqlite(sql, tuple(macros.items()), tuple(columns))


@lru_cache(maxsize=256)  # some times the number of views: the next snapshot of a process has the same ones
def _to_sqlite(sql: str, macros: tuple[tuple[str, Macro], ...], columns: tuple[str, ...]) -> str:
    tree = inline(sqlglot.parse_one(sql, read="duckdb"), dict(macros))
    if columns and isinstance(tree, exp.Select) and [*map(type, tree.expressions)] == [exp.Star]:
        tree.set("expressions", [exp.column(name) for name in columns])
    for change in (_rewrite, _without_parentheses):
        tree = bottom_up(tree, change)
    return re.sub(
        r"\(\s*SELECT\s+\"value\"\s+FROM selection_parameter\s+WHERE\s+\"name\" = ('\w+')\s*\)",
        r"(SELECT value FROM selection_parameter WHERE name = \1)",
        tree.sql(dialect="sqlite", pretty=True),
    )


def _rewrite(node: exp.Expr) -> exp.Expr:
    """What sqlglot leaves to the target: functions that SQLite calls otherwise, or treats NULL otherwise in."""
    if isinstance(node, exp.Greatest | exp.Least):
        return _extreme([node.this, *node.expressions], "MAX" if isinstance(node, exp.Greatest) else "MIN")
    if isinstance(node, exp.LogicalOr | exp.LogicalAnd):
        return (exp.Max if isinstance(node, exp.LogicalOr) else exp.Min)(this=node.this)
    if isinstance(node, exp.Cast) and node.is_type("boolean") and isinstance(node.this, exp.Literal):
        return exp.Boolean(this=node.this.name.lower() in ("t", "true"))
    return node


def _extreme(values: list[exp.Expr], function: str) -> exp.Expr:
    """greatest() and least() skip NULL in DuckDB; SQLite's max() and min() of several values give NULL."""
    found = values[0]
    for value in values[1:]:
        both = exp.Anonymous(this=function, expressions=[found.copy(), value.copy()])
        found = exp.Coalesce(this=both, expressions=[found.copy(), value.copy()])
    return found


def _without_parentheses(node: exp.Expr) -> exp.Expr:
    """Drop the parentheses that DuckDB writes around everything in a macro and that change nothing."""
    if not isinstance(node, exp.Paren):
        return node
    inner, parent = node.this, node.parent
    alone = isinstance(inner, ATOM) and not isinstance(inner, exp.Connector)
    clause = isinstance(parent, exp.Where | exp.Paren | exp.Alias | exp.If)
    joined = isinstance(inner, COMPARISON) and isinstance(parent, exp.Connector)
    product = isinstance(inner, exp.Mul) and isinstance(parent, exp.Add | exp.Sub)
    left = isinstance(inner, exp.Mul) and isinstance(parent, exp.Mul | exp.Div) and parent.this is node
    return inner if alone or clause or joined or product or left else node


def with_views(sql: str, views: Iterable[tuple[str, str]]) -> str:
    """A query together with the views that it needs, as one statement of common table expressions.

    Parameters
    ----------
    sql : str
        A select statement that names views.
    views : iterable of (str, str)
        Names and SQL of the views, each after those that it uses.
    """
    heads = ",\n".join(f'"{name}" as (\n{body}\n)' for name, body in views)
    return f"with\n{heads}\n{sql}" if heads else sql
