"""Files on the command line as payloads."""

import sys
from pathlib import Path
from typing import Any, Final

import msgspec

from pushlane.client import InvalidSubmission

STDIN: Final = "-"
_MEDIA_TYPES: Final = {".md": "text/markdown", ".html": "text/html", ".htm": "text/html"}


def payload_of(name: str) -> dict[str, Any]:
    """The payload that a file stands for: a JSON object as it is (`-`: from standard input), a Markdown or HTML file as
    `{"document": {"name", "media_type", "text"}}`. Raises `InvalidSubmission`.
    """
    if name == STDIN:
        return _json(STDIN, sys.stdin.buffer.read())
    path = Path(name)
    try:
        content = path.read_bytes()
        if path.suffix.lower() == ".json":
            return _json(name, content)
        return {"document": {"name": name, "media_type": _media_type(path), "text": content.decode()}}
    except OSError as error:
        raise InvalidSubmission(name, f"cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise InvalidSubmission(name, "is not UTF-8 text") from error


def _json(name: str, content: bytes) -> dict[str, Any]:
    try:
        decoded: dict[str, Any] = msgspec.json.decode(content, type=dict[str, Any])
    except msgspec.DecodeError as error:
        raise InvalidSubmission(name, f"is not a JSON object: {error}") from error
    return decoded


def _media_type(path: Path) -> str:
    media_type = _MEDIA_TYPES.get(path.suffix.lower())
    if media_type is None:
        raise InvalidSubmission(str(path), f"has none of the suffixes {', '.join(_MEDIA_TYPES)}, .json")
    return media_type
