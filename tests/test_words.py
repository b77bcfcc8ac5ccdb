"""Counts in words."""

from becat.schema.words import counted


def test_one_and_many():
    assert counted(1, "spectrum") == "1 spectrum" and counted(0, "spectrum") == "0 spectra"
    assert counted(1024, "new row") == "1,024 new rows" and counted(1, "new row") == "1 new row"
    assert counted(2, "file is", "files are") == "2 files are" and counted(1, "file is", "files are") == "1 file is"
    assert counted(3, "copy") == "3 copies"
