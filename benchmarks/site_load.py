"""Visitors who mean well and visitors who do not, at one server on this machine.

Eight visitors ask for all pages; then eight clients ask for what is slow, huge or endless, from one address and from eight,
while one visitor goes on reading. The server must answer that visitor, refuse or end what is too much, and live.

Run from the project's root:  python -m benchmarks.site_load SNAPSHOT.sqlite [--requests 2000] [--seconds 60]
"""

from __future__ import annotations

import argparse
import http.client
import os
import random
import re
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

import numpy as np

PAGES = (
    "/", "/explore", "/thresholds", "/catalog", "/catalog/be_candidate", "/catalog/classical_be", "/catalog/spectrum",
    "/catalog/verdict", "/catalog/funnel", "/catalog/runaway", "/catalog/published_number", "/catalog/new_classical_be",
    "/catalog/changed_most", "/catalog/near_misses?margin=0.1", "/catalog/star?_search=J018", "/search?q=J0182",
    "/explore/sky.json", "/explore/ew.json", "/explore/velocity.json", "/catalog/be_candidate.json?_size=100",
    "/catalog/be_candidate.votable", "/catalog/new_cbe.csv", "/vo/cone?RA=100&DEC=45&SR=1", "/star/10000", "/star/10005",
    "/thresholds.json?be_probability_min=0.{n}", "/assets/plot.js",
)  # fmt: skip
READING = ("/", "/star/10000", "/catalog/be_candidate", "/explore", "/thresholds.json?snr_min={n}", "/search?q=J0182")
ENDLESS = "with recursive n(i) as (select 1 union all select i + 1 from n) select {} from n"
HOSTILE = (
    "/catalog.json?sql=" + quote(ENDLESS.format("count(*)")),
    "/catalog.json?sql=" + quote(ENDLESS.format("sum(length(replace(hex(zeroblob(400000)), '0', 'a')))")),
    "/catalog.json?sql=" + quote(ENDLESS.format("zeroblob(900000)")),
    "/catalog.json?sql=" + quote("select hex(zeroblob(400000)) like '%0%0%0%0%0%0%0%0%01' from spectrum"),
    "/catalog?sql=" + quote("select * from spectrum a join spectrum b on a.mjd <> b.mjd order by random()"),
    "/catalog?sql=" + quote("select * from spectrum"),
    "/catalog/spectrum?_size=max",
    "/catalog/spectrum?_sort=snr_b&_facet=file&_facet=designation&_facet=ra_deg&_facet=snr_r",
    "/catalog/spectrum.csv?_stream=on",
    "/catalog/spectrum.votable",
    "/catalog/verdict_step.json?_sort=margin&_size=max",
    "/catalog/verdict_step.csv?_stream=on&_sort=margin",
    "/vo/cone?RA=0&DEC=0&SR=180",
    "/thresholds.json?snr_min={n}&ew_halpha_max_a={n}",
)
TIMEOUT_S = 60


@dataclass
class Answers:
    """What came back: statuses and times."""

    statuses: Counter = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)
    slowest: tuple[float, str] = (0.0, "")
    lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, status: int | str, seconds: float, path: str) -> None:
        with self.lock:
            self.statuses[status] += 1
            self.seconds.append(seconds)
            self.slowest = max(self.slowest, (seconds, path))

    def line(self) -> str:
        if not self.seconds:
            return "no answer"
        half, most = np.percentile(self.seconds, [50, 95])
        return (
            f"{len(self.seconds)} answers {dict(self.statuses)}; median {half * 1000:.0f} ms, 95% {most * 1000:.0f} ms,"
            f" slowest {self.slowest[0]:.1f} s ({self.slowest[1][:60]})"
        )


class Server:
    """`becat serve` of a snapshot on a free port."""

    def __init__(self, snapshot: Path):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        code = f"from becat.publish.serve import serve; serve({str(snapshot.absolute())!r}, port={self.port})"
        self.process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.DEVNULL)
        while ask(self.port, "/")[0] != 200:
            if self.process.poll() is not None:
                raise SystemExit("the server does not start")
            time.sleep(0.2)

    def figure(self, name: str) -> int:
        """A line of the process's status, in kB."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(rf"{name}:\s+(\d+)", status)[1])  # pyright: ignore[reportOptionalSubscript]


def ask(port: int, path: str, address: str = "127.0.0.1") -> tuple[int | str, float]:
    """Status and seconds of one request that comes from an address of this machine."""
    started = time.perf_counter()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_S, source_address=(address, 0))
    try:
        connection.request("GET", path.replace("{n}", str(random.randrange(10, 99))))
        answer = connection.getresponse()
        while answer.read(1 << 20):
            if time.perf_counter() - started > TIMEOUT_S:
                return "cut", time.perf_counter() - started
        return answer.status, time.perf_counter() - started
    except (OSError, http.client.HTTPException) as error:
        return type(error).__name__, time.perf_counter() - started
    finally:
        connection.close()


def run(port: int, addresses: list[str], paths: tuple[str, ...], until, answers: Answers) -> list[threading.Thread]:
    """One client an address, each asking for one path after the other until told to stop."""

    def client(number: int, address: str) -> None:
        turn = number * 3
        while not until(len(answers.seconds)):
            path = paths[turn % len(paths)]
            answers.note(*ask(port, path, address), path)
            turn += 1

    threads = [threading.Thread(target=client, args=entry, daemon=True) for entry in enumerate(addresses)]
    for thread in threads:
        thread.start()
    return threads


def slow_readers(port: int, n: int) -> list[socket.socket]:
    """Connections that ask for a big file and read none of it, and as many that never end their request."""
    opened = []
    for number in range(2 * n):
        connection = socket.create_connection(("127.0.0.1", port), source_address=("127.0.0.9", 0))
        end = "\r\n\r\n" if number % 2 else ""
        connection.sendall(f"GET /catalog/spectrum.csv?_stream=on HTTP/1.1\r\nHost: x{end}".encode())
        opened.append(connection)
    return opened


def besiege(server: Server, addresses: list[str], seconds: float, title: str) -> None:
    """Hostile clients for some seconds, and a visitor who reads meanwhile."""
    ends = time.time() + seconds
    theirs, ours = Answers(), Answers()
    threads = run(server.port, addresses, HOSTILE, lambda n: time.time() > ends, theirs)
    threads += run(server.port, ["127.0.0.1"], READING, lambda n: time.time() > ends, ours)
    for thread in threads:
        thread.join()
    print(f"{title}\n  hostile: {theirs.line()}\n  visitor: {ours.line()}")
    print(f"  memory at most {server.figure('VmHWM') / 1e3:.0f} MB, threads {server.figure('Threads')}")


def main() -> None:
    """Load, siege, and whether the server lives."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("snapshot", type=Path, help="named catalog.sqlite, as the addresses are")
    parser.add_argument("--requests", type=int, default=2000)
    parser.add_argument("--seconds", type=float, default=60)
    arguments = parser.parse_args()
    server = Server(arguments.snapshot)
    print(f"{os.cpu_count()} cores, load of the machine {os.getloadavg()[0]:.1f} before the first request")
    try:
        started, answers = time.time(), Answers()
        for thread in run(server.port, ["127.0.0.1"] * 8, PAGES, lambda n: n >= arguments.requests, answers):
            thread.join()
        rate = len(answers.seconds) / (time.time() - started)
        print(f"eight visitors, all pages: {answers.line()}; {rate:.0f} a second")
        besiege(server, ["127.0.0.2"] * 8, arguments.seconds, "eight hostile clients of one address")
        besiege(
            server,
            [f"127.0.0.{n}" for n in range(2, 10)],
            arguments.seconds,
            "eight hostile clients of eight addresses",
        )
        idle = slow_readers(server.port, 50)
        besiege(
            server, ["127.0.0.2"], arguments.seconds / 4, "a hundred connections that read nothing or never end asking"
        )
        for connection in idle:
            connection.close()
        time.sleep(5)
        after = Answers()
        for path in PAGES:
            after.note(*ask(server.port, path), path)
        print(f"afterwards: {after.line()}; memory {server.figure('VmRSS') / 1e3:.0f} MB")
    finally:
        server.process.kill()
        server.process.wait()


if __name__ == "__main__":
    main()
