"""A website on another origin: every path is a page; /troubled/ is a bad way to the Worker."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx

#: What a request to /troubled/ gets in place of the Worker's answer; LOST: lost on the way back.
Trouble = tuple[int, dict[str, str]]
LOST: Trouble = (0, {})


class Site:
    """The server. `troubles` happen one after the other, then the way to the Worker at `behind` is free.

    Shape: `modes` are the Fetch modes of the requests that took that way, as the browser states them.
    """

    def __init__(self, behind: str) -> None:
        self.behind = behind
        self.head = ""
        self.troubles: list[Trouble] = []
        self.modes: list[str | None] = []
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self.port: int = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def url(self, host: str = "localhost") -> str:
        return f"http://{host}:{self.port}"

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()


def _handler(site: Site) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path == "/favicon.ico":
                return self._answer(404, {}, b"")
            page = f"<!doctype html><meta charset=utf-8><title>A page</title>{site.head}<p>Hello"
            return self._answer(200, {"content-type": "text/html"}, page.encode())

        def do_POST(self) -> None:
            site.modes.append(self.headers["sec-fetch-mode"])
            body = self.rfile.read(int(self.headers["content-length"]))
            status, headers = site.troubles.pop(0) if site.troubles else (200, {})
            if status not in (0, 200):
                return self._answer(status, headers, b"")
            passed_on = {name: self.headers[name] for name in ("content-type", "origin")}
            answer = httpx.post(
                site.behind + self.path.removeprefix("/troubled"), content=body, headers=passed_on
            )
            if status == 0:
                self.close_connection = True
                return None
            return self._answer(answer.status_code, {}, answer.content)

        def _answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
            self.send_response(status)
            for name, value in {"content-length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_arguments: Any) -> None:
            pass

    return Handler
