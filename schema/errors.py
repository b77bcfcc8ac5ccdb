"""The one error that is told to a user: its message says in a line what could not be done, and what to do."""

from __future__ import annotations

__all__ = ["BecatError"]


class BecatError(Exception):
    """Something that could not be done; the message is for the user.

    Attributes
    ----------
    exit_code : int
        With which a command ends: 1, or 2 where the words of the call or of the configuration are wrong.
    """

    exit_code = 1
