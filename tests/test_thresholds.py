"""A query bound to one row of thresholds gives the rows that it gave with its subqueries."""

from __future__ import annotations

import duckdb
import pytest

from becat.schema import bind as thresholds
from becat.schema import build

SCHEMA = """
create table selection_parameter (name varchar, value double);
insert into selection_parameter values ('low', 2), ('high', 5);
create table numbers (i integer, x double);
insert into numbers select i, case when i % 7 > 0 then i / 2 end from range(20) as t(i);
create table names (i integer, word varchar);
insert into names select i, 'n' || i from range(0, 20, 3) as t(i);
"""
MACROS = {
    "parameter": build.Macro(("wanted",), "select value from selection_parameter where name = wanted", ""),
    "above": build.Macro(("x",), "x > parameter('low')", ""),
    "between_both": build.Macro(("x",), "above(x) and x < parameter('high')", ""),
    "twice": build.Macro(("x",), "2 * x", ""),
    "span": build.Macro(("upper", "lower"), "parameter(upper) - parameter(lower)", ""),
}
QUERIES = {
    "condition": "select i from numbers where x > parameter('low')",
    "value": "select i, x - parameter('low') as margin from numbers",
    "star": "select * from numbers where above(x)",
    "star and more": "select *, x < parameter('high') as is_low from numbers where above(x)",
    "macro of macros": "select i, coalesce(between_both(x), false) as passes from numbers",
    "argument is an expression": "select i from numbers where between_both(x - 1 + i)",
    "name in the argument": "select span('high', 'low') as s from numbers",
    "chain": "with a as (select * from numbers where above(x)), b as (select i, x from a where x < parameter('high'))"
    " select b.*, word from b left join names using (i)",
    "left join": "select numbers.*, word from numbers left join names using (i) where x > parameter('low') or word is null",
    "condition of a join": "select numbers.i, word from numbers join names on names.i = numbers.i and x > parameter('low')",
    "beside a group": "select i % 3 as k, sum(x) - parameter('low') as s from numbers group by i % 3",
    "inside an aggregate": "select count(case when x > parameter('low') then 1 end) as n from numbers",
    "union": "select i from numbers where above(x) union all select i from names where i > parameter('high')",
    "subquery": "select (select max(x) from numbers where x < parameter('high')) as m from names where i > parameter('low')",
    "exists": "select i from names where exists (select 1 from numbers where numbers.i = names.i and x > parameter('low'))",
    "no rows": "select i from numbers where x > parameter('high') + 1000",
    "no such threshold": "select i from numbers where x > parameter('unknown')",
}


@pytest.fixture(scope="module")
def connection():
    with duckdb.connect() as connection:
        connection.execute(SCHEMA)
        for name, macro in MACROS.items():
            connection.execute(f"create macro {name}({', '.join(macro.arguments)}) as ({macro.sql})")
        yield connection


def rows(connection, sql):
    found = connection.execute(sql)
    return [column[:2] for column in found.description], sorted(found.fetchall(), key=repr)


@pytest.mark.parametrize("query", QUERIES.values(), ids=QUERIES)
@pytest.mark.parametrize("low", [2, 4.5])
def test_rows_and_columns_are_the_same(connection, query, low):
    connection.execute(f"update selection_parameter set value = {low} where name = 'low'")
    assert rows(connection, thresholds.bind(query, MACROS)) == rows(connection, query)


def test_the_thresholds_of_a_select_are_read_once():
    bound = thresholds.bind(QUERIES["macro of macros"], MACROS)
    assert bound.count("selection_parameter") == 1
    assert "parameter('" not in bound
    assert "between_both" not in bound


def test_a_query_without_thresholds_stays_as_it_is():
    sql = "select  i, twice(x) from numbers  -- untouched"
    assert thresholds.bind(sql, MACROS) == sql


def test_a_star_for_several_tables_is_refused():
    with pytest.raises(ValueError, match="say of which table"):
        thresholds.bind("select * from numbers join names using (i) where x > parameter('low')", MACROS)
    bound = thresholds.bind("select numbers.* from numbers join names using (i) where x > parameter('low')", MACROS)
    assert "threshold_row" in bound


@pytest.mark.parametrize("view", build.VIEWS, ids=lambda view: view.name)
def test_no_view_reads_a_threshold_by_itself(view):
    assert "parameter('" not in thresholds.bind(view.sql, build.MACROS).lower()
