"""A site in a process of its own, as `becat serve` runs it."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

__all__ = ["Server"]

ROOT = Path(__file__).resolve().parents[2]


class Server:
    """A real server process on a free port of this machine."""

    def __init__(self, path):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        code = f"from becat.publish.serve import serve; serve({str(path)!r}, port={self.port})"
        self.process = subprocess.Popen(
            [sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        for _ in range(600):
            if self.process.poll() is not None:
                raise RuntimeError(self.process.communicate()[0])
            try:
                self.get("/")
                return
            except (urllib.error.URLError, ConnectionError):
                time.sleep(0.1)
        raise RuntimeError(f"the server does not answer: {self.stop()}")

    def get(self, path):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=30) as answer:
            return answer.status, answer.read()

    def stop(self):
        self.process.terminate()
        return self.process.communicate(timeout=20)[0]
