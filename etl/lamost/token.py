"""The token that LAMOST gives to those who may see internal releases. It is never written, printed or logged."""

from __future__ import annotations

import logging
import os
import re
from pathlib import Path

from becat.schema.errors import BecatError

__all__ = ["Token", "find_token", "hide_tokens"]

VARIABLES = ("BECAT_LAMOST_TOKEN", "ASTROQUERY_NADC_LAMOST_TOKEN")
USUAL_FILE = "~/pylamost.ini"


class Token:
    """A secret that shows itself only where it is asked for."""

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The token, for the request that needs it."""
        return self._value

    def __repr__(self) -> str:
        return "Token(hidden)"

    def __reduce__(self):
        raise TypeError("a token is not written down")


def find_token(file: Path | None = None) -> Token | None:
    """The token: from a file that is named, from the environment, or from pylamost's own file.

    Parameters
    ----------
    file : Path, optional
        Holds the token alone, or a line ``token = ...``.

    Raises
    ------
    BecatError
        The file cannot be read or holds no token.
    """
    if file is not None:
        return _read(file)
    for name in VARIABLES:
        if os.environ.get(name, "").strip():
            return _checked(os.environ[name], f"the variable {name}")
    usual = Path(USUAL_FILE).expanduser()
    return _read(usual) if usual.is_file() else None


def _read(file: Path) -> Token:
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        raise BecatError(f"the token cannot be read from {file}: check the file and its permissions") from None
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith(("#", "["))]
    named = [line.partition("=")[2] for line in lines if re.match(r"\s*token\s*=", line)]
    found = named or [line for line in lines if "=" not in line]
    if len(found) != 1:
        raise BecatError(f"{file} holds no token: the file must hold the token alone, or a line token = ...")
    return _checked(found[0], str(file))


def _checked(value: str, place: str) -> Token:
    value = value.strip().strip("\"'")
    if not re.fullmatch(r"[\x21-\x7e]+", value):
        raise BecatError(
            f"the token in {place} is empty or contains a blank: copy it again from your page at lamost.org"
        )
    return Token(value)


class _Hides(logging.Filter):
    """Takes the value of `token` out of what a library logs."""

    def filter(self, record: logging.LogRecord) -> bool:
        message = record.getMessage()
        if "token=" in message:
            record.msg, record.args = re.sub(r"token=[^\s&\"']+", "token=hidden", message), ()
        return True


def hide_tokens() -> None:
    """Keep tokens out of the log of urllib3, which writes addresses where someone turns it on."""
    log = logging.getLogger("urllib3.connectionpool")
    if not any(isinstance(one, _Hides) for one in log.filters):
        log.addFilter(_Hides())
