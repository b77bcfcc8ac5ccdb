"""What a terminal would obey is shown instead of sent: names and headers come from files, and addresses from strangers."""

from __future__ import annotations

import contextlib
import io
import re
import sys
from collections.abc import Callable, Iterator
from typing import Any, TextIO

__all__ = ["only_showing", "shown"]

# All control characters but tab and line feed, and those that turn the direction of writing.
OBEYED = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
MOVES = re.compile(r"(?:\n|\x1b\[A)*")  # of several progress bars, each written by itself


def shown(words: str) -> str:
    """Words in which each character that a terminal would obey is replaced by its number."""
    return OBEYED.sub(
        lambda found: f"\\x{ord(found[0]):02x}" if found[0] < "\u0100" else f"\\u{ord(found[0]):04x}", words
    )


def _shown_beside_bars(words: str) -> str:
    """Progress bars go back to the beginning of their line, and those of others; nothing else may."""
    if MOVES.fullmatch(words):
        return words
    return f"\r{shown(words[1:])}" if words.startswith("\r") else shown(words)


class _Showing:
    """A stream of text that changes what is written to it, and writes letters that its encoding lacks as numbers."""

    def __init__(self, stream: TextIO, change: Callable[[str], str]):
        self._stream, self._change = stream, change
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")

    def write(self, words: str) -> int:
        self._stream.write(self._change(words))
        return len(words)

    def writelines(self, lines) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str):
        if name == "buffer":  # behind which click would write past this
            raise AttributeError(name)
        return getattr(self._stream, name)


@contextlib.contextmanager
def only_showing() -> Iterator[None]:
    """Let what this process prints reach the terminal as words only, progress bars apart."""
    with contextlib.ExitStack() as stack:
        if sys.stdout is not None:  # nobody may be listening (>&-)
            stdout: Any = _Showing(sys.stdout, shown)
            stack.enter_context(contextlib.redirect_stdout(stdout))
        if sys.stderr is not None:
            stderr: Any = _Showing(sys.stderr, _shown_beside_bars)
            stack.enter_context(contextlib.redirect_stderr(stderr))
        yield
