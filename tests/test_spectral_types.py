"""Reading spectral types: every string of the given catalogues, the printed ones, and the rule of adoption."""

from __future__ import annotations

import csv
from pathlib import Path

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from becat.etl.archives.spectral_types import parse, parse_table
from tests.tools.pipeline_tools import new_catalogue

PAPER = Path(__file__).parent.parent / "etl" / "data" / "wang2022"

# Text, subtypes, luminosity classes, emission, shell, peculiar: read by eye, after the notes of the catalogues.
READ = [
    ("B1.5 Vep_sh", (11.5, 11.5), (5, 5), True, True, False),
    ("O5: Iafpe", (5, 5), (1, 1), True, False, False),
    ("B0/1 III/V", (10, 11), (3, 5), False, False, False),
    ("OBe", (0, 19.9), (None, None), True, False, False),
    ("OB", (0, 19.9), (None, None), False, False, False),
    ("Ae", (20, 29.9), (None, None), True, False, False),
    ("B2 IV-Vne", (12, 12), (4, 5), True, False, False),
    ("sdB", (10, 19.9), (None, None), False, False, True),
    ("B8:p Si", (18, 18), (None, None), False, False, False),
    ("DA", (None, None), (None, None), False, False, True),
    ("WN5", (None, None), (None, None), False, False, True),
    ("k-A2", (22, 22), (None, None), False, False, False),
    ("kA5hA9mF2", (29, 29), (None, None), False, False, False),
    ("kA2mF0", (22, 30), (None, None), False, False, False),
    ("B1/2e", (11, 12), (None, None), True, False, False),
    ("B8/A0", (18, 20), (None, None), False, False, False),
    ("O9.5-B0", (9.5, 10), (None, None), False, False, False),
    ("O6.5 V((f))", (6.5, 6.5), (5, 5), False, False, False),
    ("A5,F:e", (25, 39.9), (None, None), True, False, False),
    ("B0 IV:,nep", (10, 10), (4, 4), True, False, False),
    ("B5 ,eV", (15, 15), (5, 5), True, False, False),
    ("B2 V P shell", (12, 12), (5, 5), False, True, False),
    ("A0e+shl", (20, 20), (None, None), True, True, False),
    ("K0 III+B", (50, 50), (3, 3), False, False, False),
    ("B0 Ia-ab", (10, 10), (1, 1.3), False, False, False),
    ("B3 I:", (13, 13), (1, 1.6), False, False, False),
    ("B3 Ib/II", (13, 13), (1.6, 2), False, False, False),
    ("B2 II-III", (12, 12), (2, 3), False, False, False),
    ("B9 He-s", (19, 19), (None, None), False, False, False),
    ("late K (Li)", (56, 59.9), (None, None), False, False, False),
    ("B[e]", (10, 19.9), (None, None), True, False, True),
    ("A0e Herbig", (20, 20), (None, None), True, False, True),
]


@pytest.mark.parametrize(
    ("text", "subtypes", "luminosity", "emission", "shell", "peculiar"), READ, ids=[r[0] for r in READ]
)
def test_types_read_by_eye(text, subtypes, luminosity, emission, shell, peculiar):
    found = parse(text)
    assert (found.subtype_min, found.subtype_max) == pytest.approx(subtypes)
    assert (found.luminosity_min, found.luminosity_max) == pytest.approx(luminosity)
    assert (found.is_emission, found.is_shell, found.is_peculiar) == (emission, shell, peculiar)


@pytest.mark.parametrize("text", ["", "  ", None, "?", "*", "var", "eq"])
def test_what_is_no_type_is_none(text):
    assert parse(text) is None


def test_printed_types_of_the_paper():
    for name in ("table5_oe_stars", "table6_known_be", "table7_new_cbe"):
        with (PAPER / f"{name}.csv").open() as file:
            rows = list(csv.DictReader(line for line in file if not line.startswith("#")))
        for row in rows:
            if row["spectral_type"]:
                found = parse(row["spectral_type"])
                # Tables 6 and 7 list O9 to A stars; Table 5 lists O stars.
                low, high = (0, 10) if name == "table5_oe_stars" else (8, 22)
                assert found.subtype_min < high and found.subtype_max > low, row
                assert found.is_emission == ("e" in row["spectral_type"]), row


def real_types(folder):
    for file, column in (
        ("catalogues/jaschek_egret_1982.csv", "sptype"),
        ("catalogues/herbig_bell_1988.csv", "sptype"),
        ("miles/stars.csv", "spectral_type"),
    ):
        with (folder / file).open() as stream:
            yield from ((file, row[column]) for row in csv.DictReader(stream) if row[column].strip())


def test_every_type_of_the_real_catalogues(real_data):
    rows = list(real_types(real_data))
    unread = {text for _, text in rows if parse(text) is None}
    assert len(rows) > 1900
    assert unread == {"*", "?", "cont", "cont  *", "eq", "late type"}  # Herbig & Bell: no type among them
    for file, text in rows:
        found = parse(text)
        if found is None:
            continue
        if found.subtype_min is not None:
            # The first letter of a class in the text is the earliest that the range allows, or there is an earlier one.
            letters = [10 * "OBAFGKM".index(c) for c in text if c in "OBAFGKM"]
            assert found.subtype_min <= found.subtype_max and any(x <= found.subtype_min < x + 10 for x in letters), (
                text
            )
        if "jaschek" in file and ("e" in text.replace("shell", "").replace("Comp", "")):
            assert found.is_emission, text
        if any(c in text for c in "IV") and not found.is_peculiar:
            assert found.luminosity_min is not None, text


@given(
    letter=st.sampled_from("OBAFGKM"),
    number=st.sampled_from(["", "0", "2", "5", "9", "9.5"]),
    luminosity=st.sampled_from(["", "Ia", "Iab", "Ib", "II", "III", "IV", "V", "II-III", "IV/V"]),
    space=st.sampled_from(["", " "]),
    tail=st.sampled_from(["", "e", "n", "ne", "nne", ":", "p"]),
)
def test_made_types_come_back(letter, number, luminosity, space, tail):
    found = parse(f"{letter}{number}{space}{luminosity}{tail}")
    start = 10 * "OBAFGKM".index(letter)
    assert found.subtype_min == start + float(number or 0)
    assert found.subtype_max == start + float(number or 9.9)
    assert (found.luminosity_min is None) == (luminosity == "")
    assert found.is_emission == ("e" in tail)


@given(st.text(max_size=20))
def test_no_text_breaks_it(text):
    found = parse(text)
    assert found is None or found.subtype_min is None or 0 <= found.subtype_min <= found.subtype_max < 70


def test_the_latest_publication_is_adopted(tmp_path):
    path = new_catalogue(tmp_path / "c.duckdb")
    rows = [
        (1, "skiff", "B2 V", "old", 1955),
        (1, "skiff", "B3 III", "new", 2005),
        (1, "simbad", "A0", "newest, but SIMBAD", 2020),
        (2, "simbad", "B5e", "only SIMBAD", 2001),
        (3, "skiff", "B", "vague", 2000),
        (3, "kharchenko_roeser_2009", "B4 V", "narrow", 2000),
        (4, "skiff", "?", "no type", 2010),
        (4, "skiff", "A1 V", "older", 1990),
    ]
    with duckdb.connect(str(path)) as connection:
        for row in rows:
            connection.execute(
                "insert into spectral_type (star_id, catalogue_id, spectral_type, reference, year) values (?, ?, ?, ?, ?)",
                row,
            )
        assert parse_table(connection) == ["?"]
        adopted = connection.execute(
            "select star_id, spectral_type, subtype_min, luminosity_min from spectral_type where is_adopted order by 1"
        ).fetchall()
        assert adopted == [(1, "B3 III", 13, 3), (2, "B5e", 15, None), (3, "B4 V", 14, 5), (4, "A1 V", 21, 5)]
