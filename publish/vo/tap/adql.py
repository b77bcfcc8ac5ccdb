"""ADQL 2.1 to SQLite: parsed by sqlglot, checked against the published tables, with the sky's geometry as functions.

Only what is named here passes: select statements, the published tables and their columns, and the functions below.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import sqlglot
from sqlglot import exp, parser, tokens
from sqlglot.dialects.dialect import Dialect, NormalizationStrategy
from sqlglot.errors import SqlglotError
from sqlglot.optimizer.qualify import qualify
from sqlglot.optimizer.scope import Scope, traverse_scope

from becat.publish.snapshot.syntax import bottom_up
from becat.publish.vo.tap.geometry import Shape, centroid
from becat.publish.vo.votable import Field
from becat.schema.sphere import separation_deg

__all__ = ["FEATURES", "AdqlError", "Query", "translate"]

LENGTH_MAX = 50_000
DEFAULT_SCHEMA = "becat"
MARGIN_DEG = 1e-9  # a band in declination is wider than its circle by this, so that rounding loses no star
ICRS = ("", "ICRS", "ICRS GEOCENTER", "ICRS BARYCENTER", "ICRS UNKNOWNREFPOS", "ICRS UNKNOWN")
GIVEN_NAME = re.compile(r"_col_\d+|")  # by sqlglot to an expression without an alias
TYPED = ("AVG", "COUNT", "MAX", "MIN", "SUM", "COALESCE")


class AdqlError(Exception):
    """The query cannot be run; the message says why, in the words of the one who asked."""


Catalogue = Mapping[tuple[str, str], Mapping[str, Field]]


@dataclass(frozen=True)
class Query:
    """SQL for SQLite and the columns of its answer."""

    sql: str
    columns: list[Field]


class Adql(Dialect):
    """What sqlglot needs to know to read ADQL: TOP, and no function or type names that are reserved elsewhere."""

    NORMALIZATION_STRATEGY = NormalizationStrategy.LOWERCASE
    TYPED_DIVISION = True  # of two integers: an integer, as in SQL-92 and SQLite
    SAFE_DIVISION = True  # by zero: NULL, as in SQLite

    class Tokenizer(tokens.Tokenizer):
        QUOTES = ["'"]  # noqa: RUF012 - sqlglot's way
        IDENTIFIERS = ['"']  # noqa: RUF012
        KEYWORDS = {  # noqa: RUF012
            **{
                word: token for word, token in tokens.Tokenizer.KEYWORDS.items() if "{" not in word and "/*" not in word
            },
            "TOP": tokens.TokenType.TOP,  # pyright: ignore[reportPrivateImportUsage]
        }

    class Parser(parser.Parser):
        FUNCTIONS = {name: parser.Parser.FUNCTIONS[name] for name in TYPED}  # noqa: RUF012
        FUNCTION_PARSERS = {"CAST": parser.Parser.FUNCTION_PARSERS["CAST"]}  # noqa: RUF012
        NO_PAREN_FUNCTIONS = {}  # noqa: RUF012


NODES = """
Add Alias And Anonymous Avg Between BitwiseAnd BitwiseNot BitwiseOr BitwiseXor CTE Case Cast Coalesce Column Count DPipe
DataType DataTypeParam Distinct Div EQ Except Exists From GT GTE Group Having ILike Identifier If In Intersect Is Join LT LTE
Like Limit Literal Max Min Mul NEQ Neg Not Null Offset Or Order Ordered Paren Select Star Sub Subquery Sum Table TableAlias
Tuple Union Where With
"""
ALLOWED = tuple(getattr(exp, name) for name in NODES.split())
TYPES = {
    "CHAR": "TEXT", "VARCHAR": "TEXT", "TEXT": "TEXT", "SMALLINT": "INTEGER", "INT": "INTEGER", "BIGINT": "INTEGER",
    "FLOAT": "REAL", "DOUBLE": "REAL",
}  # fmt: skip


def _call(name: str) -> Callable[..., exp.Expr]:
    return lambda *arguments: exp.Anonymous(this=name, expressions=list(arguments))


def _mod(value, by):
    """Of integers an integer, which SQLite's own mod() is not."""
    whole = exp.and_(*(exp.EQ(this=_call("typeof")(x), expression=exp.Literal.string("integer")) for x in (value, by)))
    return exp.Case(
        ifs=[exp.If(this=whole, true=exp.Mod(this=exp.paren(value.copy()), expression=exp.paren(by.copy())))],
        default=_call("mod")(value.copy(), by.copy()),
    )


def _truncate(value, digits=None):
    if digits is None:
        return _call("trunc")(value)
    power = _call("pow")(exp.Literal.number("10.0"), digits)
    return exp.Div(this=_call("trunc")(exp.Mul(this=exp.paren(value), expression=power)), expression=power.copy())


def _round(value, digits=None):
    if digits is None:
        return _call("round")(value)
    power = _call("pow")(exp.Literal.number("10.0"), digits)
    return exp.Div(this=_call("round")(exp.Mul(this=exp.paren(value), expression=power)), expression=power.copy())


# Name in ADQL: fewest and most arguments, and what SQLite runs. LOG is the natural logarithm in ADQL, not so in SQLite.
FUNCTIONS: dict[str, tuple[int, int, Callable[..., exp.Expr]]] = {
    **{name: (1, 1, _call(name.lower())) for name in (
        "ABS", "ACOS", "ASIN", "ATAN", "COS", "DEGREES", "EXP", "FLOOR", "LOWER", "RADIANS", "SIN", "SQRT", "TAN", "UPPER"
    )},
    "ATAN2": (2, 2, _call("atan2")), "CEILING": (1, 1, _call("ceil")), "LOG": (1, 1, _call("ln")),
    "LOG10": (1, 1, _call("log10")), "MOD": (2, 2, _mod), "PI": (0, 0, _call("pi")), "POWER": (2, 2, _call("pow")),
    "COT": (1, 1, lambda x: exp.Div(this=exp.Literal.number("1.0"), expression=_call("tan")(x))),
    "RAND": (0, 1, lambda *_: exp.paren(exp.Div(
        this=exp.Add(this=exp.Div(this=_call("random")(), expression=exp.Literal.number("9223372036854775808.0")),
                     expression=exp.Literal.number("1.0")), expression=exp.Literal.number("2.0")))),
    "ROUND": (1, 2, _round), "TRUNCATE": (1, 2, _truncate),
    "CHAR_LENGTH": (1, 1, _call("length")), "LENGTH": (1, 1, _call("length")),
    "NULLIF": (2, 2, _call("nullif")),
}  # fmt: skip
SHAPES = {"POINT": "becat_point", "CIRCLE": "becat_circle", "BOX": "becat_box", "POLYGON": "becat_polygon"}
OF_SHAPES = {"CONTAINS": 2, "INTERSECTS": 2, "DISTANCE": 2, "AREA": 1, "CENTROID": 1, "COORD1": 1, "COORD2": 1}
CALLABLE = (*FUNCTIONS, *SHAPES, *OF_SHAPES, *TYPED, "COORDSYS")
FEATURES = {
    "geometry": [*SHAPES, *OF_SHAPES],
    "string": ["LOWER", "UPPER", "ILIKE"],
    "sets": ["UNION", "EXCEPT", "INTERSECT"],
    "tables": ["WITH"],
    "types": ["CAST"],
    "offset": ["OFFSET"],
}


def translate(adql: str, catalogue: Catalogue) -> Query:
    """SQL for SQLite that answers a query in ADQL.

    Parameters
    ----------
    adql : str
    catalogue : mapping of (schema, table) to mapping of column name to Field
        All that may be read; names in lower case.

    Returns
    -------
    Query

    Raises
    ------
    AdqlError
        It is not ADQL, or it names what is not published.
    """
    if len(adql) > LENGTH_MAX:
        raise AdqlError(f"the query is longer than {LENGTH_MAX} characters")
    try:
        tree = _parse(adql)
        _check_tables(tree, catalogue)
        tree = _qualified(tree, catalogue)
        columns = _describe(tree, catalogue)
        return Query(bottom_up(tree, _rewrite).sql(dialect="sqlite", comments=False), columns)
    except SqlglotError as error:
        raise AdqlError(_plain(error)) from error
    except RecursionError as error:
        raise AdqlError("the query is nested too deeply") from error


def _plain(error: SqlglotError) -> str:
    """An error of sqlglot without the codes that colour a terminal."""
    first = (getattr(error, "errors", None) or [{}])[0]
    if first:
        where = f"line {first['line']}, column {first['col']}, near '{first['highlight']}'"
        return f"this is not ADQL: {first['description']} ({where})"
    return str(error).replace("\x1b[4m", "").replace("\x1b[0m", "")


def _parse(adql: str) -> exp.Query:
    statements = [statement for statement in sqlglot.parse(adql, read=Adql) if statement is not None]
    if len(statements) != 1:
        raise AdqlError(f"give one SELECT statement, not {len(statements)}")
    tree = statements[0]
    while isinstance(tree, exp.Subquery | exp.Paren):
        tree = tree.this
    if not isinstance(tree, exp.Query):
        raise AdqlError("only SELECT statements can be run here")
    if not all(select.expressions for select in tree.find_all(exp.Select)):
        raise AdqlError("this is not ADQL: a SELECT names no columns")
    for node in tree.walk():
        if not isinstance(node, ALLOWED) or (isinstance(node, exp.With) and node.args.get("recursive")):
            words = node.sql(dialect="sqlite", comments=False)[:60]
            raise AdqlError(f"this is not in the ADQL of this service: {words}")
        if isinstance(node, exp.Anonymous) and node.name.upper() not in CALLABLE:
            raise AdqlError(f"no function {node.name} here{_near(node.name.upper(), list(CALLABLE))}")
        if isinstance(node, exp.DataType) and node.this.name not in TYPES:
            raise AdqlError(f"no type {node.this.name} here; there are {', '.join(sorted(TYPES))}")
    return tree


def _check_tables(tree: exp.Query, catalogue: Catalogue) -> None:
    """Name the schema of every table, and refuse what is not published."""
    common = {cte.alias.lower() for cte in tree.find_all(exp.CTE)}
    for table in tree.find_all(exp.Table):
        if not isinstance(table.this, exp.Identifier) or table.args.get("catalog"):
            raise AdqlError(f"no table {table.sql(dialect='sqlite', comments=False)[:60]} here")
        name, schema = table.name.lower(), table.db.lower()
        if not schema and name in common:
            continue
        schema = schema or DEFAULT_SCHEMA
        if (schema, name) not in catalogue:
            raise AdqlError(f"no table {table.sql(comments=False)[:60]} here{_near(name, [t for _, t in catalogue])}")
        table.set("db", exp.to_identifier(schema))
        table.set("this", exp.to_identifier(name))
    for join in tree.find_all(exp.Join):
        if (join.args.get("method") or "").upper() == "NATURAL":
            _name_common_columns(join, catalogue)


def _near(name: str, names: list[str]) -> str:
    found = difflib.get_close_matches(name, names, n=3)
    return f"; is it {' or '.join(found)}?" if found else ""


def _name_common_columns(join: exp.Join, catalogue: Catalogue) -> None:
    """NATURAL JOIN as JOIN ... USING, for published tables."""
    select = join.parent
    assert select is not None  # a join stands in a select
    tables = [select.args["from_"].this, *(other.this for other in select.args["joins"])]
    before = tables[: 1 + select.args["joins"].index(join)]
    if not all(isinstance(table, exp.Table) and table.db for table in [*before, join.this]):
        raise AdqlError("NATURAL JOIN works between published tables; say JOIN ... USING (column) here")
    columns = {column for table in before for column in catalogue[table.db, table.name]}
    shared = [column for column in catalogue[join.this.db, join.this.name] if column in columns]
    if not shared:
        raise AdqlError(f"NATURAL JOIN: {join.this.name} shares no column with the tables before it")
    join.set("method", None)
    join.set("using", [exp.to_identifier(column) for column in shared])


def _qualified(tree: exp.Query, catalogue: Catalogue) -> exp.Query:
    """The tree with every column's table named and every * written out."""
    schema: dict[str, Any] = {}
    for (database, table), columns in catalogue.items():
        schema.setdefault(database, {})[table] = dict.fromkeys(columns, "text")
    try:
        found = qualify(tree, schema=schema, dialect=Adql)
    except SqlglotError as error:
        names = {column for scope in traverse_scope(tree) for column in _columns_in(scope, catalogue)}
        for column in tree.find_all(exp.Column):
            if f"'{column.name}'" not in str(error):
                continue
            if column.name.lower() in names and not column.table:
                raise AdqlError(
                    f"column {column.name} is in several tables: say which, as in table.{column.name}"
                ) from error
            near = _near(column.name.lower(), sorted(names))
            raise AdqlError(f"no column {column.name} in the tables of this query{near}") from error
        raise
    for scope in traverse_scope(found):
        for source in scope.sources.values():
            if isinstance(source, exp.Table) and (source.db, source.name) not in catalogue:
                raise AdqlError(f"no table {source.name} here")
    return found


def _columns_in(scope: Scope, catalogue: Catalogue) -> list[str]:
    tables = [source for source in scope.sources.values() if isinstance(source, exp.Table)]
    return [column for table in tables for column in catalogue.get((table.db, table.name), ())]


def _describe(tree: exp.Query, catalogue: Catalogue) -> list[Field]:
    """Columns of the answer, with what the schema says of those that come from a table unchanged; names are unique."""
    scopes = {id(scope.expression): scope for scope in traverse_scope(tree)}
    columns, used = [], set()
    for expression in _first_select(tree).selects:
        name = _name(expression)
        found = _column_of(expression, _first_select(tree), scopes, catalogue)
        if found.name.lower() == name.lower():
            name = found.name  # of an uploaded table, as its owner writes it
        unique, number = name, 1
        while unique.lower() in used:
            number += 1
            unique = f"{name}_{number}"
        used.add(unique.lower())
        columns.append(replace(found, name=unique))
    return columns


def _name(expression: exp.Expr) -> str:
    """Name of an output column; one without an alias is named after its function."""
    name = expression.alias_or_name
    if not GIVEN_NAME.fullmatch(name):
        return name
    inner = expression.unalias()
    return (
        inner.name if isinstance(inner, exp.Anonymous) else inner.key if isinstance(inner, exp.Func) else "expression"
    ).lower()


def _first_select(query: exp.Expr) -> exp.Select:
    """The select that gives the columns of a query their names."""
    while isinstance(query, exp.SetOperation | exp.Subquery):
        query = query.this
    assert isinstance(query, exp.Select)
    return query


def _column_of(expression: exp.Expr, select: exp.Select, scopes: Mapping[int, Scope], catalogue: Catalogue) -> Field:
    inner = expression.unalias() if isinstance(expression, exp.Alias) else expression
    while isinstance(inner, exp.Paren):
        inner = inner.this
    if isinstance(inner, exp.Column):
        source = scopes[id(select)].sources.get(inner.table)
        if isinstance(source, exp.Table):
            return catalogue[source.db, source.name].get(inner.name, Field(inner.name, "double"))
        if isinstance(source, Scope):
            below = _first_select(source.expression)
            for candidate in below.selects:
                if candidate.alias_or_name == inner.name:
                    return _column_of(candidate, below, scopes, catalogue)
    if isinstance(inner, exp.Coalesce):
        return _column_of(inner.this, select, scopes, catalogue)
    if isinstance(inner, exp.Count):
        return Field("", "long", ucd="meta.number", description="Number of rows")
    if isinstance(inner, exp.Min | exp.Max | exp.Avg | exp.Sum):
        of = _column_of(inner.this, select, scopes, catalogue)
        kind = "double" if isinstance(inner, exp.Avg) else of.kind
        words = {"Min": "Least", "Max": "Greatest", "Avg": "Mean", "Sum": "Sum"}[type(inner).__name__]
        return Field("", kind, of.unit, "", f"{words}: {of.description}" if of.description else "")
    return Field("", _kind(inner))


def _kind(expression: exp.Expr) -> str:
    """Kind of an expression's values where there are none to look at."""
    if isinstance(expression, exp.DPipe | exp.Cast) and not expression.is_type(
        "int", "bigint", "smallint", "float", "double"
    ):
        return "text"
    if isinstance(expression, exp.Literal):
        return "text" if expression.is_string else "long" if expression.is_int else "double"
    if isinstance(expression, exp.Cast):
        return "double" if expression.is_type("float", "double") else "long"
    name = expression.name.upper() if isinstance(expression, exp.Anonymous) else ""
    if name in SHAPES or name == "CENTROID":
        return {"POINT": "point", "CENTROID": "point", "CIRCLE": "circle"}.get(name, "polygon")
    if name in ("CONTAINS", "INTERSECTS"):
        return "long"
    return "text" if name in ("LOWER", "UPPER") else "double"


def _rewrite(node: exp.Expr) -> exp.Expr:
    if isinstance(node, exp.EQ):
        return _is_contained(node)
    if isinstance(node, exp.LT | exp.LTE | exp.GT | exp.GTE):
        return _is_near(node)
    if isinstance(node, exp.Anonymous):
        return _function(node)
    if isinstance(node, exp.SetOperation):  # SQLite takes no parentheses around a part of it
        for side in ("this", "expression"):
            part = node.args[side]
            if isinstance(part, exp.Subquery):
                node.set(side, exp.select("*").from_(part.unnest().subquery("part")))  # pyright: ignore[reportAttributeAccessIssue]
            elif isinstance(part, exp.Select) and (part.args.get("limit") or part.args.get("order")):
                node.set(side, exp.select("*").from_(part.copy().subquery("part")))
    return node


def _function(node: exp.Anonymous) -> exp.Expr:
    name, arguments = node.name.upper(), list(node.expressions)
    if name in SHAPES:
        return _shape(name, arguments)
    if name == "DISTANCE" and len(arguments) == 4:
        return _made("becat_separation", arguments)
    if name == "COORDSYS":
        return exp.Literal.string("ICRS")
    if name in OF_SHAPES:
        _count(name, arguments, OF_SHAPES[name], OF_SHAPES[name])
        return _of_shapes(name, arguments)
    fewest, most, make = FUNCTIONS[name]
    _count(name, arguments, fewest, most)
    made = make(*(argument.copy() for argument in arguments))
    return exp.paren(made) if isinstance(made, exp.Binary) else made


def _count(name: str, arguments: list, fewest: int, most: int) -> None:
    if not fewest <= len(arguments) <= most:
        asked = str(fewest) if fewest == most else f"{fewest} to {most}"
        raise AdqlError(f"{name} takes {asked} arguments, not {len(arguments)}")


def _made(name: str, arguments: list[exp.Expr]) -> exp.Anonymous:
    return exp.Anonymous(this=name, expressions=[argument.copy() for argument in arguments])


def _shape(name: str, arguments: list[exp.Expr]) -> exp.Anonymous:
    """A constructor, without its coordinate system: all positions here are ICRS."""
    if arguments and isinstance(arguments[0], exp.Literal) and arguments[0].is_string:
        system = " ".join(arguments[0].name.upper().split())
        if system not in ICRS:
            raise AdqlError(f"{name}: the coordinate system here is ICRS, not {arguments[0].name}")
        arguments = arguments[1:]
    if name in ("CIRCLE", "BOX") and arguments and _is_call(arguments[0], "becat_point"):
        arguments = [*arguments[0].expressions, *arguments[1:]]
    if name == "POLYGON" and all(_is_call(argument, "becat_point") for argument in arguments):
        arguments = [number for point in arguments for number in point.expressions]
    if name == "POLYGON" and (len(arguments) < 6 or len(arguments) % 2):
        raise AdqlError("POLYGON takes the longitude and latitude of three vertices or more")
    if name != "POLYGON":
        wanted = {"POINT": 2, "CIRCLE": 3, "BOX": 4}[name]
        _count(name, arguments, wanted, wanted)
    return _made(SHAPES[name], arguments)


def _is_call(node: exp.Expr, name: str) -> bool:
    return isinstance(node, exp.Anonymous) and node.name == name


def _of_shapes(name: str, arguments: list[exp.Expr]) -> exp.Expr:
    points = [argument for argument in arguments if _is_call(argument, "becat_point")]
    if name == "DISTANCE" and len(points) == 2:
        return _made("becat_separation", [*points[0].expressions, *points[1].expressions])
    if name in ("CONTAINS", "INTERSECTS") and len(points) == 1 and (name == "INTERSECTS" or arguments[0] is points[0]):
        outer = arguments[1] if arguments[0] is points[0] else arguments[0]
        return _made("becat_holds", [*points[0].expressions, outer])
    return _made(f"becat_{name.lower()}", arguments)


def _is_contained(node: exp.EQ) -> exp.Expr:
    """CONTAINS(point, shape) = 1 with what an index can find put before it: a band in declination."""
    for call, value in ((node.this, node.expression), (node.expression, node.this)):
        if not (_is_call(call, "becat_holds") and isinstance(value, exp.Literal) and value.this == "1"):
            continue
        lon, lat, shape = call.expressions
        if _is_call(shape, "becat_circle"):
            lon0, lat0, radius = shape.expressions
            near = exp.LTE(this=_made("becat_separation", [lon, lat, lon0, lat0]), expression=exp.paren(radius.copy()))
            return _banded(near, lat, lat0, radius)
        if _is_call(shape, "becat_box"):
            _, lat0, _, height = shape.expressions
            half = exp.Div(this=exp.paren(height.copy()), expression=exp.Literal.number("2.0"))
            return _banded(node.copy(), lat, lat0, half)
        if _is_call(shape, "becat_polygon") and (cap := _cap(shape.expressions)):
            return _banded(node.copy(), lat, *(exp.Literal.number(repr(number)) for number in cap))
    return node


def _cap(arguments: list[exp.Expr]) -> tuple[float, float] | None:
    """Latitude of the centre and radius of a circle around a polygon, where its vertices are plain numbers."""
    try:
        shape = Shape("polygon", tuple(float(argument.sql()) for argument in arguments))
    except ValueError:
        return None
    lon, lat = centroid(shape).numbers
    return lat, max(
        separation_deg(lon, lat, x, y) for x, y in zip(shape.numbers[::2], shape.numbers[1::2], strict=True)
    )


def _is_near(node: exp.Binary) -> exp.Expr:
    """DISTANCE(a, b) < r, likewise."""
    less = isinstance(node, exp.LT | exp.LTE)
    call, radius = (node.this, node.expression) if less else (node.expression, node.this)
    if not _is_call(call, "becat_separation"):
        return node
    _, lat, _, lat0 = call.expressions
    return _banded(node.copy(), lat, lat0, radius)


def _banded(test: exp.Expr, lat: exp.Expr, lat0: exp.Expr, radius: exp.Expr) -> exp.Expr:
    """The test, and that the latitudes differ by no more than the radius, said for each that is a column."""
    wide = exp.Add(this=exp.paren(radius.copy()), expression=exp.Literal.number(repr(MARGIN_DEG)))
    bands = []
    for column, middle in ((lat, lat0), (lat0, lat)):
        if isinstance(column, exp.Column):
            low = exp.Sub(this=exp.paren(middle.copy()), expression=exp.paren(wide.copy()))
            high = exp.Add(this=exp.paren(middle.copy()), expression=exp.paren(wide.copy()))
            bands.append(exp.Between(this=column.copy(), low=low, high=high))
    return exp.paren(exp.and_(*bands, test, copy=False)) if bands else test
