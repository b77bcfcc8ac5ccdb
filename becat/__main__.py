"""The command `becat`, also as `python -m becat`. What takes time to import is imported where Ctrl-C is heeded."""

from __future__ import annotations

import sys

from becat.ctrl_c import STOPPED, CtrlC, leave

__all__ = ["main"]


def main() -> None:
    """Entry point of the command line."""
    ctrl_c = CtrlC()
    ctrl_c.listen()
    code, words = 1, ""
    try:
        from becat.cli import outcome
        from becat.etl.catalogue.connection import interrupt_queries

        ctrl_c.interrupt = interrupt_queries
        code, words = outcome()
        ctrl_c.end(code)
    except BaseException:
        ctrl_c.end(code)
        if not ctrl_c.is_pressed:
            raise
    if ctrl_c.is_pressed:
        code, words = 1, STOPPED
    if words:
        print(f"becat: {words}", file=sys.stderr)
    if ctrl_c.is_pressed:
        leave(code)
    sys.exit(code)


if __name__ == "__main__":
    main()
