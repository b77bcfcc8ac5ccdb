"""What the servers of the tests share: how an answer is sent."""

from __future__ import annotations

from http.server import BaseHTTPRequestHandler

__all__ = ["Answering"]


class Answering(BaseHTTPRequestHandler):
    """Sends whole answers and says nothing on the terminal."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        """Say nothing."""

    def reply(self, body, kind, status=200, headers=None):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)
