"""What a terminal would obey is shown, whether it comes from a catalogue, a file or a stranger; progress bars still move."""

from __future__ import annotations

import io
import shutil
import sys

import click
import pytest
from tqdm import tqdm

from becat import cli
from becat.etl.catalogue.connection import open_catalogue
from becat.plot import name_of_picture
from becat.terminal import only_showing, shown

NAME = "/data/\x1b]0;owned\x07\x9b2J\x7f\u202eb\rx"
SHOWN = r"/data/\x1b]0;owned\x07\x9b2J\x7f\u202eb\x0dx"


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    encoding = "utf-8"

    def isatty(self):
        return True


@pytest.fixture
def terminal(monkeypatch):
    """Call it in the test: pytest has streams of its own until then."""

    def streams():
        for name in ("stdout", "stderr"):
            monkeypatch.setattr(sys, name, Terminal())
        return sys.stdout, sys.stderr

    return streams


def test_a_command_shows_what_the_catalogue_holds(blank, tmp_path, monkeypatch, terminal):
    path = tmp_path / "c.duckdb"
    shutil.copy(blank, path)
    with open_catalogue(path) as connection:
        connection.execute(
            "insert into input_file (file, kind, status, n_rows, version, run_id) values (?, 'spectra', 'loaded', 0, 'v', 1)",
            [NAME],
        )
    monkeypatch.setattr(sys, "argv", ["becat", "forget", "/data", "--yes", "-c", str(path)])
    stdout, stderr = terminal()
    assert cli.outcome() == (0, "")
    assert f"{SHOWN}: spectra, 0 rows, loaded\n" in stdout.getvalue()
    assert (sys.stdout, sys.stderr) == (stdout, stderr)


def test_every_way_to_print_is_covered(terminal):
    stdout, stderr = terminal()
    with only_showing():
        print(NAME)
        click.echo(NAME)
        sys.stdout.writelines([NAME, "\n"])
        print(NAME, file=sys.stderr)
    assert stdout.getvalue() == f"{SHOWN}\n" * 3 and stderr.getvalue() == f"{SHOWN}\n"


def test_an_encoding_without_a_letter_is_no_way_around(monkeypatch):
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding="ascii"))
    with only_showing():
        click.echo(f"{NAME} Å")
    assert written.getvalue().decode() == f"{SHOWN} \\xc5\n"


def test_progress_bars_still_move(terminal):
    _, stderr = terminal()
    with only_showing():
        for _ in tqdm(range(2), desc=f"outer {NAME}", disable=None, mininterval=0):
            for _ in tqdm(range(2), desc="inner", disable=None, mininterval=0):
                pass
    written = stderr.getvalue()
    assert "\router" in written and "\x1b[A" in written and "100%|" in written and SHOWN in written
    left = written.replace("\x1b[A", "").replace("\r", "")
    assert shown(left) == left


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("J192814.09+435531.0", "J192814.09+435531.0.png"),
        ("/etc/../gam Cas", "gam Cas.png"),
        ("a\0b\x1b\nc\u202e\udcff", "a_b__c__.png"),
        ("", "spectrum.png"),
        ("é" * 5000, f"{'é' * 100}.png"),
    ],
)
def test_a_picture_has_a_name_that_can_be_written_and_read(name, file):
    assert str(name_of_picture(name, ".png")) == file


def test_nobody_need_listen(monkeypatch):
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", None)
    with only_showing():
        click.echo("words")
