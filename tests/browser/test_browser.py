"""The browser of the tests: it renders a page, and its EventSource and WebSocket reach a server on this machine."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from playwright.sync_api import Browser
from websockets.sync.server import ServerConnection, serve

pytestmark = pytest.mark.xdist_group("browser")  # a browser is expensive to start

HOST = "127.0.0.1"
PAGE = b"<!doctype html><title>page</title><h1>It renders</h1>"
WATCH = """async () => {
  const seen = [];
  const source = new EventSource("/events");
  await new Promise((done, failed) => {
    source.addEventListener("told", (event) => {
      seen.push([event.lastEventId, event.data]);
      if (seen.length === 3) done();
    });
    setTimeout(() => failed(new Error("only " + JSON.stringify(seen))), 10000);
  });
  source.close();
  return seen;
}"""
ECHO = """async (url) => {
  const socket = new WebSocket(url);
  await new Promise((open, failed) => { socket.onopen = open; socket.onerror = () => failed(new Error("refused")); });
  const answer = new Promise((heard) => { socket.onmessage = (event) => heard(event.data); });
  socket.send("hello");
  const heard = await answer;
  socket.close();
  return heard;
}"""


class Events(BaseHTTPRequestHandler):
    """A page, and an event stream that ends after each event, so that the browser has to come back for the next."""

    def do_GET(self) -> None:
        after = int(self.headers.get("Last-Event-ID") or 0)
        event = f"retry: 10\nid: {after + 1}\nevent: told\ndata: number {after + 1}\n\n".encode()
        streams = self.path == "/events"
        self._answer("text/event-stream" if streams else "text/html", event if streams else PAGE)

    def _answer(self, kind: str, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments: object) -> None:
        """Silent: a test's output is its own."""


@contextmanager
def running(server: ThreadingHTTPServer) -> Iterator[str]:
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://{HOST}:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


def echo(connection: ServerConnection) -> None:
    for message in connection:
        connection.send(message)


@pytest.fixture(scope="module")
def page_url() -> Iterator[str]:
    with running(ThreadingHTTPServer((HOST, 0), Events)) as url:
        yield url


def test_it_renders_a_page(browser: Browser, page_url: str) -> None:
    page = browser.new_page()
    page.goto(page_url)
    assert page.title() == "page"
    box = page.locator("h1").bounding_box()
    assert box is not None
    assert box["height"] > 10  # there is a font to render it with
    page.close()


def test_its_event_source_resumes_after_every_lost_connection(browser: Browser, page_url: str) -> None:
    page = browser.new_page()
    page.goto(page_url)
    assert page.evaluate(WATCH) == [["1", "number 1"], ["2", "number 2"], ["3", "number 3"]]
    page.close()


def test_its_web_socket_talks_to_a_server(browser: Browser, page_url: str) -> None:
    with serve(echo, HOST, 0) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        port = server.socket.getsockname()[1]
        page = browser.new_page()
        page.goto(page_url)
        assert page.evaluate(ECHO, f"ws://{HOST}:{port}") == "hello"
        page.close()
