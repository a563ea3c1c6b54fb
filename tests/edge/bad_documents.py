"""Documents that are no proper JSON object, or one that programs read differently: by name, as bytes."""

from collections.abc import Mapping
from typing import Final


def _deep(opening: str, closing: str, levels: int) -> bytes:
    return (opening * levels + closing * levels).encode()


# What no door may take, whatever it expects.
UNREADABLE: Final[Mapping[str, bytes]] = {
    "empty": b"",
    "white space": b" \r\n\t",
    "cut off": b'{"task_type": "echo"',
    "cut off in a string": b'{"task_type": "ec',
    "cut off in an escape": b'{"task_type": "\\u12',
    "comma at the end": b'{"task_type": "echo",}',
    "no comma": b'{"task_type": "echo" "tier": "low"}',
    "no colon": b'{"task_type" "echo"}',
    "name without quotes": b'{task_type: "echo"}',
    "single quotes": b"{'task_type': 'echo'}",
    "comment": b'{"task_type": "echo"} // what a shame',
    "two documents": b'{"task_type": "echo"}{"task_type": "echo"}',
    "NaN": b'{"task_type": "echo", "payload": {"x": NaN}}',
    "Infinity": b'{"task_type": "echo", "payload": {"x": Infinity}}',
    "minus Infinity": b'{"task_type": "echo", "payload": {"x": -Infinity}}',
    "hexadecimal": b'{"task_type": "echo", "payload": {"x": 0x10}}',
    "leading zero": b'{"task_type": "echo", "payload": {"x": 007}}',
    "leading plus": b'{"task_type": "echo", "payload": {"x": +1}}',
    "bare point": b'{"task_type": "echo", "payload": {"x": 1.}}',
    "control character": b'{"task_type": "ec\x01ho"}',
    "line break in a string": b'{"task_type": "ec\nho"}',
    "unknown escape": b'{"task_type": "\\x41"}',
    "not UTF-8": b'{"task_type": "\xff\xfe"}',
    "overlong UTF-8": b'{"task_type": "\xc0\xaf"}',
    "surrogate in UTF-8": b'{"task_type": "\xed\xa0\x80"}',
    "UTF-16": '{"task_type": "echo"}'.encode("utf-16"),
    "NUL before": b'\x00{"task_type": "echo"}',
    "NUL behind": b'{"task_type": "echo"}\x00',
    "deep arrays": _deep("[", "]", 5_000),
    "deep objects": _deep('{"a":', "1}", 5_000),
    "deep and never closed": b"[" * 100_000,
    "null": b"null",
    "true": b"true",
    "a number": b"42",
    "a string": b'"task"',
    "an array": b"[]",
    "an array of tasks": b'[{"task_type": "echo"}]',
}

# Proper to some parsers and not to others: what means two things is refused where JSON is ours to read (HTTP).
AMBIGUOUS: Final[Mapping[str, bytes]] = {
    "a name twice": b'{"task_type": "echo", "task_type": "other"}',
    "a name twice inside": b'{"task_type": "echo", "payload": {"x": 1, "x": 2}}',
    "a name twice in a list": b'{"task_type": "echo", "payload": {"x": [{"y": 1, "y": 2}]}}',
    "a name twice by an escape": b'{"task_type": "echo", "payload": {"x": 1, "\\u0078": 2}}',
    "lone surrogate": b'{"task_type": "echo", "payload": {"x": "\\ud800"}}',
    "surrogates the wrong way round": b'{"task_type": "echo", "payload": {"x": "\\udc00\\ud800"}}',
    "surrogate in a name": b'{"task_type": "echo", "payload": {"\\udfff": 1}}',
    "number beyond a double": b'{"task_type": "echo", "payload": {"x": 1e999}}',
    "integer of 400 digits": b'{"task_type": "echo", "payload": {"x": ' + b"9" * 400 + b"}}",
    "integer beyond 64 bits": b'{"task_type": "echo", "payload": {"x": 18446744073709551616}}',
    "payload of 65 levels": b'{"task_type": "echo", "payload": '
    + _deep('{"a":', "}", 65).replace(b":}", b":1}", 1)
    + b"}",
}
