"""Ctrl-C ends a command with one line and exit 1, whatever the command is doing and whatever swallows the exception."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time

import duckdb
import pytest

from tests.conftest import ROOT

STOPPED = "becat: stopped; run the same command again to resume"
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="signals of a terminal")


class Command:
    """A command of the test's own in a process of its own; the code says ``now`` when it is time for Ctrl-C."""

    def __init__(self, code: str, *words: str):
        code = f"import sys, time\ndef now(): print('now', flush=True)\n{textwrap.dedent(code)}"
        self.process = subprocess.Popen(
            [sys.executable, "-c", code, *words],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True, cwd=ROOT,
        )  # fmt: skip

    def wait_for(self, word: str) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.strip() == word:
                return
        raise AssertionError(f"it never said {word}: {self.process.communicate()[1]}")

    def ctrl_c(self) -> None:
        os.killpg(self.process.pid, signal.SIGINT)

    def end(self, timeout_s: float = 60) -> tuple[int, str, list[str]]:
        """Exit code, what it said, and the lines of its errors."""
        try:
            said, errors = self.process.communicate(timeout=timeout_s)
        finally:
            if self.process.poll() is None:
                os.killpg(self.process.pid, signal.SIGKILL)
        return self.process.returncode, said, [line for line in errors.splitlines() if line]


def odd(body: str) -> Command:
    """The command `becat odd`, which does what is written here."""
    head = "from becat import __main__, cli\n@cli.becat.command()\ndef odd():\n"
    return Command(head + textwrap.indent(textwrap.dedent(body), "    ") + "\n__main__.main()", "odd")


IN_DEL = """
    class Lost:
        def __del__(self):
            now(); time.sleep(10)
    one = Lost(); del one
"""
CAUGHT = """
    try:
        now(); time.sleep(10)
    except BaseException:
        pass
"""
IN_DUCKDB = """
    import duckdb
    try:
        now(); duckdb.sql("select count(*) from range(1_000_000_000_000)").fetchall()
    except Exception:
        pass
"""
AT_FORK = """
    import os
    def before():
        now(); time.sleep(10)
    os.register_at_fork(before=before)
    if not os.fork():
        os._exit(0)
"""


@pytest.mark.parametrize("swallowing", [IN_DEL, CAUGHT, IN_DUCKDB, AT_FORK])
def test_it_is_not_lost_where_something_swallows_it(swallowing):
    command = odd(textwrap.dedent(swallowing) + "\nfor _ in range(300): time.sleep(0.1)\nprint('whole')")
    command.wait_for("now")
    command.ctrl_c()
    code, said, errors = command.end(25)
    assert (code, errors) == (1, [STOPPED])
    assert "whole" not in said


def test_a_command_that_ends_before_it_is_raised_again_was_stopped():
    command = odd(CAUGHT)
    command.wait_for("now")
    command.ctrl_c()
    code, _, errors = command.end()
    assert (code, errors) == (1, [STOPPED])


def test_what_cleans_up_is_left_in_peace():
    command = odd("""
        try:
            now(); time.sleep(30)
        finally:
            for _ in range(10): time.sleep(0.1)
            print('clean')
    """)
    command.wait_for("now")
    command.ctrl_c()
    code, said, errors = command.end()
    assert (code, said.split(), errors) == (1, ["clean"], [STOPPED])


def test_the_second_one_ends_it_at_once():
    command = odd("""
        try:
            now(); time.sleep(100)
        finally:
            now(); time.sleep(100)
    """)
    command.wait_for("now")
    command.ctrl_c()
    command.wait_for("now")
    command.ctrl_c()  # the same one, handed on by what started the command
    time.sleep(0.6)
    command.ctrl_c()
    code, _, errors = command.end(50)
    assert code == 1
    assert not any("Traceback" in line for line in errors)


def test_while_becat_is_imported():
    command = Command("""
        class Slow:
            def find_spec(self, name, *_):
                if name == "duckdb":
                    now(); time.sleep(30)
        sys.meta_path.insert(0, Slow())
        from becat.__main__ import main
        main()
    """, "--version")  # fmt: skip
    command.wait_for("now")
    command.ctrl_c()
    assert command.end() == (1, "", [STOPPED])


def test_when_all_is_done_it_changes_nothing():
    command = odd("""
        import threading
        print("done")
        def hold(): time.sleep(1); now(); time.sleep(30)
        threading.Thread(target=hold).start()
    """)
    command.wait_for("now")  # at the end Python waits for its threads
    command.ctrl_c()
    code, _, errors = command.end(20)
    assert (code, errors) == (0, [])


def test_a_run_in_a_query_was_interrupted(blank, tmp_path):
    shutil.copy(blank, tmp_path / "c.duckdb")
    command = odd(f"""
        from becat.etl.catalogue.connection import Run, open_catalogue
        with open_catalogue({str(tmp_path / "c.duckdb")!r}) as connection, Run(connection, "odd") as run:
            run.record()
            now()
            connection.execute("select count(*) from range(1_000_000_000_000)")
    """)
    command.wait_for("now")
    command.ctrl_c()
    code, _, errors = command.end()
    assert (code, errors) == (1, [STOPPED])
    with duckdb.connect(str(tmp_path / "c.duckdb"), read_only=True) as connection:
        assert connection.execute("select status from etl_run where command = 'odd'").fetchall() == [("interrupted",)]
