"""How becat behaves towards LAMOST's service: every limit is here.

No limit of the service's own is published; its users run four connections at a time.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Limits"]


@dataclass(frozen=True)
class Limits:
    """Limits of a download, and what is expected of it until one has been measured."""

    connections: int = 4
    tries: int = 6
    first_wait_s: float = 2.0  # doubled after every failure, with up to as much again at random
    longest_wait_s: float = 300.0  # also of what the service itself asks for with Retry-After
    timeout_s: float = 60.0  # longest silence
    failures_in_a_row: int = 20  # files that fail one after the other: then the service is down, not the files
    free_bytes_kept: int = 2_000_000_000  # of the disk
    chunk_bytes: int = 1 << 18
    file_bytes_max: int = 256 << 20  # no single spectrum is so large
    seconds_a_file: float = 1.0  # of one connection; assumed until a download has measured it
    bytes_a_second: float = 2e6  # of all connections together, or of the archive of a night; assumed likewise
    measured_files_min: int = 50  # a download of fewer single files tells no rate
    measured_night_bytes_min: int = 50_000_000  # nor a smaller archive
