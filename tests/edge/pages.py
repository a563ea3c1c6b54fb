"""Web pages that watch a stream with nothing but what a browser has: a plain EventSource, a plain WebSocket.

A page keeps what it was told in `window.told`. It is served from a host of its own, as pages are, so that the API is of
another origin for it.
"""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

from playwright.sync_api import Browser, Page

_HOST: Final = "127.0.0.1"
_PAGE: Final = b"<!doctype html><title>watch</title><h1>Watching</h1>"
# EventSource resumes by itself; it stops when it is told that there is no more (204).
_EVENT_SOURCE: Final = """([url, kinds]) => {
  window.told = { events: [], opened: 0, ended: false, expired: [] };
  const source = (window.source = new EventSource(url));
  source.onopen = () => { window.told.opened += 1; };
  source.onerror = () => { window.told.ended = source.readyState === EventSource.CLOSED; };
  for (const kind of kinds) {
    source.addEventListener(kind, (event) => {
      window.told.events.push({ id: Number(event.lastEventId), kind, data: JSON.parse(event.data), at: Date.now() });
    });
  }
  source.addEventListener("expired", (event) => { window.told.expired.push(JSON.parse(event.data)); });
}"""
# A WebSocket does not come back by itself: the page opens the next one and says how far it had come.
_WEB_SOCKET: Final = """([url, subscription, last_kind]) => {
  const told = (window.told = { events: [], opened: 0, ended: false, expired: [], frames: [] });
  let last = 0;
  const open = () => {
    const socket = (window.socket = new WebSocket(url));
    socket.onopen = () => {
      told.opened += 1;
      socket.send(JSON.stringify({ ...subscription, after: last }));
    };
    socket.onmessage = (message) => {
      const frame = JSON.parse(message.data);
      told.frames.push(frame.type);
      if (frame.type === "expired") told.expired.push(frame);
      if (frame.type !== "events") return;
      for (const event of frame.events) {
        if (event.sequence <= last) continue;
        last = event.sequence;
        told.events.push({ id: event.sequence, kind: event.kind, data: event, at: Date.now() });
        if (event.kind === last_kind) told.ended = true;
      }
      if (told.ended) socket.close();
    };
    socket.onclose = () => { if (!told.ended) setTimeout(open, 100); };
  };
  open();
}"""


class Told:
    """What a page was told so far."""

    def __init__(self, said: dict[str, Any]) -> None:
        self.sequences: list[int] = [one["id"] for one in said["events"]]
        self.kinds: list[str] = [one["kind"] for one in said["events"]]
        self.at_ms: list[int] = [one["at"] for one in said["events"]]
        self.opened: int = said["opened"]
        self.ended: bool = said["ended"]
        self.expired: list[Any] = said["expired"]


@contextmanager
def a_page(browser: Browser) -> Iterator[Page]:
    """An open page of a small site, for the length of a block."""
    server = ThreadingHTTPServer((_HOST, 0), _Site)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    page = browser.new_page()
    try:
        page.goto(f"http://{_HOST}:{server.server_address[1]}/")
        yield page
    finally:
        page.close()
        server.shutdown()
        server.server_close()


def watch_by_event_source(page: Page, url: str, kinds: Sequence[str]) -> None:
    """Open an EventSource; it hears events of these kinds."""
    page.evaluate(_EVENT_SOURCE, [url, list(kinds)])


def watch_by_web_socket(page: Page, url: str, subscription: dict[str, Any], last_kind: str) -> None:
    """Open a WebSocket and subscribe, again after every loss, until an event of `last_kind`."""
    page.evaluate(_WEB_SOCKET, [url, subscription, last_kind])


def told(page: Page) -> Told:
    """What the page was told so far."""
    return Told(page.evaluate("() => window.told"))


class _Site(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(_PAGE)))
        self.end_headers()
        self.wfile.write(_PAGE)

    def log_message(self, *_arguments: object) -> None:
        """Silent: a test's output is its own."""
