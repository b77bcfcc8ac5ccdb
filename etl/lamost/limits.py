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
    bytes_a_second: float = 2e6  # of all connections together; assumed likewise

    def hours(self, n_files: int, n_bytes: float, seconds_a_file: float = 0, bytes_a_second: float = 0) -> float:
        """Time to fetch single files: as many requests as there are files, and as many bytes."""
        requests_s = n_files * (seconds_a_file or self.seconds_a_file) / self.connections
        return max(requests_s, n_bytes / (bytes_a_second or self.bytes_a_second)) / 3600
