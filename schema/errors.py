"""The one error that is told to a user: its message says in a line what could not be done, and what to do."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, requires

__all__ = ["BecatError", "missing_extra"]


class BecatError(Exception):
    """Something that could not be done; the message is for the user.

    Attributes
    ----------
    exit_code : int
        With which a command ends: 1, or 2 where the words of the call or of the configuration are wrong.
    """

    exit_code = 1


def missing_extra(package: str, extra: str, more: str = "") -> BecatError:
    """The error for a package that comes with an extra of becat, with the command that installs it anywhere.

    Parameters
    ----------
    package : str
        What was not found.
    extra : str
        Name of the extra in pyproject.toml, from which the requirements are taken.
    more : str
        What else there is to say, after the command.
    """
    try:
        needed = [line.split(";")[0].strip() for line in requires("becat") or () if f'extra == "{extra}"' in line]
    except PackageNotFoundError:  # becat itself runs without having been installed
        needed = [package.lower()]
    command = " ".join(f"'{requirement}'" for requirement in needed)
    return BecatError(f"{package} is not installed: pip install {command}{more}")
