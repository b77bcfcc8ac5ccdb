"""The selection as its steps declare it, and the text of the views that follow from the declaration.

The file of each step in `schema/views/` says in lines that begin with `--:` (TOML) what it asks: step, label, and of each
test quantity, unit, value, side, parameter, what a missing value does and what would decide it. Everything that lists the
tests is written from there: the views with a line `-- each ...:`, the sliders, the labels of the site and of the figures.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

import sqlglot
from sqlglot import exp

from becat.schema import parameters
from becat.schema.tables import TABLES

__all__ = ["LABELS", "SELECTION", "Selection", "Step", "Test", "bare", "key", "read"]

VIEWS = Path(__file__).parent / "views"
COMPARISONS = {"above": ">", "at_least": ">=", "below": "<", "at_most": "<="}
BY_SPECTRUM = {"current_score"} | {
    t.name for t in TABLES.values() if [c.name for c in t.primary_key] == ["spectrum_id"]
}
CONCLUSION = 110  # the number under which classical_be stands
IN_FULL = ("value", "detail", "asked", "known", "passes")


@dataclass(frozen=True)
class Test:
    """One comparison of the selection.

    `value`, `detail`, `asked`, `known` and `passes` are SQL over columns that are named with their table; in the last two
    ``{value}`` is the value, or the detail of a test without one. `missing` is ``passes``, ``fails``, or the name of a switch
    that says which (1: passes). `stage` is the stage that gives the value, if it says in missing_result why it gave none.
    """

    test: int
    quantity: str
    unit: str = ""
    value: str = ""
    column: str = ""
    detail: str = ""
    side: str = ""
    parameter: str | tuple[str, str] = ""
    threshold: float | None = None
    passes: str = ""
    asked: str = ""
    known: str = ""
    missing: str = "fails"
    decided_by: str = ""
    stage: str = ""
    slider: tuple = ()
    __test__ = False  # no test of pytest's

    @property
    def parameters(self) -> tuple[str, ...]:
        """Names of the thresholds: two for a range, none for a test that compares with nothing."""
        return (self.parameter,) if isinstance(self.parameter, str) and self.parameter else tuple(self.parameter)

    @property
    def columns(self) -> list[tuple[str, str]]:
        """Table and name of every column that it reads."""
        found = [
            (column.table, column.name)
            for text in (getattr(self, name) for name in IN_FULL)
            if text
            for column in _parse(self._filled(text, self.value or self.detail)).find_all(exp.Column)
        ]
        return list(dict.fromkeys(found))

    @property
    def bare_value(self) -> str:
        """The value, or what stands for it where there is no number."""
        return bare(self.value or self.detail)

    @staticmethod
    def _filled(text: str, value: str) -> str:
        return text.replace("{value}", value)

    def compared(self, value: str) -> str:
        """Whether a value passes; NULL where it is missing."""
        if self.passes:
            return f"({bare(self._filled(self.passes, value))})"
        if self.side == "outside":
            low, high = self.parameters
            return f"({value} < parameter('{low}') or {value} > parameter('{high}'))"
        return f"{value} {COMPARISONS[self.side]} parameter('{self.parameters[0]}')"

    def decided(self, value: str, asked: str = "") -> str:
        """Whether the spectrum or star is kept: never NULL. `asked` stands for the condition of that name."""
        default = {"passes": "true", "fails": "false"}.get(self.missing, f"parameter('{self.missing}') = 1")
        kept = f"coalesce({self.compared(value)}, {default})"
        return f"(not {asked or f'({bare(self.asked)})'} or {kept})" if self.asked else kept

    def kept(self, value: str) -> str:
        """The same for a condition, where NULL is no: DuckDB's planner knows a comparison better than a coalesce."""
        return self.compared(value) if self.missing == "fails" and not self.asked else self.decided(value)

    def is_known(self, value: str) -> str:
        """Whether there are data to decide with."""
        return f"coalesce({bare(self._filled(self.known, value))}, false)" if self.known else f"{value} is not null"

    def may_pass(self, source: str) -> str:
        """Whether the columns of one table leave it possible to pass: for reading fewer rows of that table."""
        known = self.compared(self.value) if self.value else self._filled(self.passes, self.detail)
        condition = f"not ({self.asked}) or {known}" if self.asked else known
        tree = _parse(condition).transform(
            lambda node: exp.null() if isinstance(node, exp.Column) and node.table not in (source, "") else node
        )
        possible = bare(tree.sql(dialect="duckdb", normalize_functions=False))
        return possible if self.needs(source) else f"coalesce({possible}, true)"

    def needs(self, source: str) -> bool:
        """Whether a spectrum or star without a row of a table cannot pass."""
        return self.missing == "fails" and not self.asked and {table for table, _ in self.columns} == {source}


@dataclass(frozen=True)
class Step:
    """A step of the selection: a view, and the tests that decide it."""

    step: int
    name: str
    view: str
    label: str
    of: str
    printed: str = ""
    branch: str = ""
    tests: tuple[Test, ...] = ()

    def passes(self, by: str = "bare_value") -> str:
        """Whether all tests are passed, over the columns that they read (or, `by` ``column``, over the named values)."""
        return " and ".join(test.kept(getattr(test, by)) for test in self.tests)

    @property
    def sources_of_branch(self) -> list[str]:
        """Tables and views that say which stars branch off."""
        return list(dict.fromkeys(column.table for column in _parse(self.branch).find_all(exp.Column)))

    @property
    def sources(self) -> list[str]:
        """Tables and views that its tests read, besides spectrum."""
        return list(dict.fromkeys(table for test in self.tests for table, _ in test.columns if table != "spectrum"))


@dataclass(frozen=True)
class Selection:
    """All steps in their order, and those of the branch of known stars apart."""

    steps: tuple[Step, ...]
    branch: Step

    @cached_property
    def tests(self) -> list[tuple[Step, Test]]:
        """Every test with its step."""
        return [(step, test) for step in self.steps for test in step.tests]

    def of(self, what: str) -> list[Step]:
        """The steps that are asked of each spectrum, or of each star."""
        return [step for step in self.steps if step.of == what]

    @cached_property
    def columns(self) -> list[tuple[str, str]]:
        """Table and name of every column that the tests read, without those of spectrum, each name once."""
        found = dict.fromkeys(c for _, test in self.tests for c in test.columns if c[0] != "spectrum")
        names = [name for _, name in found]
        if doubled := {name for name in names if names.count(name) > 1}:
            raise ValueError(f"columns of two tables have the same name: {', '.join(sorted(doubled))}")
        return list(found)

    @cached_property
    def spectrum_columns(self) -> list[str]:
        """Columns of the table spectrum that the tests read."""
        return list(
            dict.fromkeys(name for _, test in self.tests for table, name in test.columns if table == "spectrum")
        )

    @cached_property
    def sources(self) -> list[str]:
        """Tables and views that the tests read, besides spectrum."""
        return list(dict.fromkeys(table for table, _ in self.columns))

    @cached_property
    def sliders(self) -> dict[str, tuple[float, float, float]]:
        """Lowest value, highest value and tick of each threshold that has a slider."""
        return {
            name: tuple(bounds)
            for _, test in self.tests
            if test.slider
            for name, bounds in zip(
                test.parameters, test.slider if len(test.parameters) > 1 else [test.slider], strict=True
            )
        }


@cache
def _parse(sql: str) -> exp.Expression:  # pyright: ignore[reportPrivateImportUsage]
    """The tree of an expression, which nobody changes: the views ask for the same one dozens of times."""
    return sqlglot.parse_one(sql, read="duckdb")  # pyright: ignore[reportReturnType]


@cache
def bare(sql: str) -> str:
    """An expression with its columns named without their tables."""

    def strip(node):
        return exp.column(node.name) if isinstance(node, exp.Column) else node

    return _parse(sql).transform(strip).sql(dialect="duckdb", normalize_functions=False) if sql else ""


def key(source: str) -> str:
    """The column by which a table or view is joined to a spectrum."""
    return "spectrum_id" if source in BY_SPECTRUM else "star_id"


def read(folder: Path = VIEWS) -> Selection:
    """The selection that the files of a folder declare.

    Parameters
    ----------
    folder : path
        Holds the `.sql` files of the views.

    Raises
    ------
    ValueError
        A declaration cannot be read; its file is named.
    """
    files = {path: step for path in sorted(folder.glob("*.sql")) if (step := _read_step(path))}
    branch = next(step for step in files.values() if step.branch)
    before: list[Step] = []
    for path, step in files.items():
        if wrong := _wrong_place(step, path.read_text(encoding="utf-8"), before, branch) or _wrong_names(step, folder):
            raise ValueError(f"{path.name} declares step {step.step} ({step.name}), but {wrong}")
        before.append(step)
    return Selection(tuple(step for step in before if step is not branch), branch)


def _wrong_place(step: Step, text: str, before: list[Step], branch: Step) -> str:
    """What is wrong with the number of a step, in words."""
    earlier = [test.test for other in before for test in other.tests]
    numbers = [test.test for test in step.tests]
    if not before:
        return "nothing stands before it: give it a number above the first step's" if "{previous}" in text else ""
    if any(step.step == other.step for other in before):
        return "that number is taken"
    if numbers != sorted(set(numbers)) or any(number <= max(earlier, default=0) for number in numbers):
        return "its tests must be numbered after those of the steps before it, and none twice"
    if not step.branch and "{previous}" not in text and "candidate_spectrum" not in text:
        return "it does not begin with the step before it: read from {previous}"
    if step.of == "star" and not branch.step <= step.step < CONCLUSION:
        return f"a step of stars stands between {branch.step} and {CONCLUSION}"
    if step.of == "spectrum" and step.name != "emission" and any(other.name == "inspection" for other in before):
        return "a step of spectra stands before the inspection, after which candidates are counted"
    return ""


def _wrong_names(step: Step, folder: Path) -> str:
    """What is wrong with the tables, columns and thresholds that a step names, in words."""
    views = {path.stem.split("_", 1)[1] for path in folder.glob("*.sql")}
    for test in step.tests:
        for table, column in test.columns:
            if not table:
                return f"test {test.test} does not say of which table {column} is"
            if table == "star":
                return f"test {test.test} asks table star, which every view joins by itself: spectrum has {column}, or name another table"
            if (table not in TABLES and table not in views) or (
                table in TABLES and column not in TABLES[table].columns
            ):
                return f"test {test.test} asks {table}.{column}, which there is not"
        for name in (*test.parameters, *(() if test.missing in ("passes", "fails") else (test.missing,))):
            if name not in parameters.load():
                return f"test {test.test} names the threshold {name}, which has no row in parameters.toml"
    return ""


def _read_step(path: Path) -> Step | None:
    declared = [line[3:] for line in path.read_text(encoding="utf-8").splitlines() if line.startswith("--:")]
    if not declared:
        return None
    try:
        fields = tomllib.loads("\n".join(declared))
        tests = tuple(_read_test(int(n), fields.pop(n)) for n in list(fields) if n.isdigit())
        number, view = path.stem.split("_", 1)
        return Step(step=int(number), name=fields.pop("step"), view=view, tests=tests, **fields)
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path.name} does not declare its step well: {error}") from error


def _read_test(number: int, fields: dict) -> Test:
    fields = {name: tuple(value) if isinstance(value, list) else value for name, value in fields.items()}
    test = Test(test=number, **fields)
    if not test.passes and (test.side not in (*COMPARISONS, "outside") or not test.value):
        raise ValueError(
            f"test {number} has neither `passes` nor a value, a parameter and a side (above, at_least, ...)"
        )
    if test.value and not test.column:
        column = _parse(test.value)
        if not isinstance(column, exp.Column):
            raise ValueError(f"test {number} computes its value: name it with `column`")
        test = Test(test=number, **fields | {"column": column.name})  # pyright: ignore[reportArgumentType]
    return test


SELECTION: Selection = read()
# What each row of the funnel counts, in words: one wording for the terminal, the site and the report.
LABELS = {"spectra": "All spectra", "classical_be": "Classical Be stars, known and new"} | {
    step.name: step.label for step in (*SELECTION.steps, SELECTION.branch)
}
