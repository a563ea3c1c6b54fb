"""A Bedrock of the test's own, on this machine: the real client of boto3 talks to it over HTTP."""

from __future__ import annotations

import binascii
import json
import struct
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import boto3
from botocore.config import Config
from msgspec import Struct

MODEL = "example.model-v1:0"
USAGE = {"inputTokens": 40, "outputTokens": 2, "totalTokens": 42}


class Refusal(Struct, frozen=True):
    """An error instead of an answer."""

    status: int
    name: str
    headers: Mapping[str, str] = {}


class Events(Struct, frozen=True):
    """A stream: (event type, payload) in order. One whose type ends with `Exception` is an error in the stream."""

    events: Sequence[tuple[str, Mapping[str, Any]]]


Answer = Mapping[str, Any] | Refusal | Events


def answered(*texts: str, usage: Mapping[str, int] | None = None) -> Mapping[str, Any]:
    """What Converse answers."""
    message = {"role": "assistant", "content": [{"text": text} for text in texts]}
    return {"output": {"message": message}, "stopReason": "end_turn", "usage": usage or USAGE}


def texts(*parts: str, ended: bool = True) -> Events:
    """A stream that says these parts of one text; without `ended` it breaks off."""
    said: list[tuple[str, Mapping[str, Any]]] = [("messageStart", {"role": "assistant"})]
    said += [("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": part}}) for part in parts]
    if ended:
        said += [("contentBlockStop", {"contentBlockIndex": 0}), ("messageStop", {"stopReason": "end_turn"})]
        said.append(("metadata", {"usage": USAGE, "metrics": {"latencyMs": 7}}))
    return Events(said)


class Bedrock(ThreadingHTTPServer):
    """Answers every call with `answer`; keeps the calls' paths and bodies in `requests`."""

    answer: Answer = Refusal(500, "InternalServerException")
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.requests: list[tuple[str, Mapping[str, Any]]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def client(self) -> Any:
        return boto3.client(
            "bedrock-runtime",
            endpoint_url=self.url,
            region_name="us-east-1",
            aws_access_key_id="test",
            aws_secret_access_key="test",
            config=Config(retries={"mode": "standard", "total_max_attempts": 1}),
        )


class _Handler(BaseHTTPRequestHandler):
    server: Bedrock

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.requests.append((self.path, body))
        answer = self.server.answer
        if isinstance(answer, Refusal):
            named = {"x-amzn-ErrorType": answer.name, **answer.headers}
            self._send(answer.status, json.dumps({"message": "no"}).encode(), named)
        elif isinstance(answer, Events):
            frames = b"".join(_frame(kind, payload) for kind, payload in answer.events)
            self._send(200, frames, {"Content-Type": "application/vnd.amazon.eventstream"})
        else:
            self._send(200, json.dumps(answer).encode(), {})

    def _send(self, status: int, payload: bytes, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(payload))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(payload)

    def log_message(self, *_: object) -> None:
        """Silent."""


@contextmanager
def serving() -> Iterator[Bedrock]:
    server = Bedrock()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _frame(kind: str, payload: Mapping[str, Any]) -> bytes:
    """One message of AWS's event stream encoding: lengths, headers, payload, each part with its checksum."""
    name = ":exception-type" if kind.endswith("Exception") else ":event-type"
    message_type = "exception" if kind.endswith("Exception") else "event"
    headers = _header(name, kind) + _header(":message-type", message_type)
    headers += _header(":content-type", "application/json")
    body = json.dumps(payload).encode()
    prelude = struct.pack(">II", 16 + len(headers) + len(body), len(headers))
    framed = prelude + struct.pack(">I", binascii.crc32(prelude)) + headers + body
    return framed + struct.pack(">I", binascii.crc32(framed))


def _header(name: str, value: str) -> bytes:
    text = 7  # the type of a header's value
    return struct.pack(">B", len(name)) + name.encode() + struct.pack(">BH", text, len(value)) + value.encode()
