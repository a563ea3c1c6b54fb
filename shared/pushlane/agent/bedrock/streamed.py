"""The answer that the events of a Converse stream add up to, in the form that Converse itself gives it."""

import json
from collections.abc import Mapping
from typing import Any, Final

# Only for a call that was cut off before it said what it used; English text has about so many.
_CHARACTERS_A_TOKEN: Final = 4


class StreamedAnswer:
    """Adds up events. `tokens`: as the last event says, or an estimate until it has come."""

    def __init__(self, request: Mapping[str, Any]) -> None:
        self._asked_characters = _text_characters([request.get("system"), request.get("messages")])
        self._said_characters = 0
        self._role = "assistant"
        self._stop: dict[str, Any] = {}
        self._metadata: dict[str, Any] = {}
        self._blocks: dict[int, dict[str, Any]] = {}

    def add(self, event: Mapping[str, Any]) -> str:
        """Take one event; returns the text that it brought."""
        if "messageStart" in event:
            self._role = event["messageStart"]["role"]
        elif "messageStop" in event:
            self._stop = dict(event["messageStop"])
        elif "metadata" in event:
            self._metadata = dict(event["metadata"])
        elif "contentBlockStart" in event:
            started = event["contentBlockStart"]
            self._block(started).update(started["start"])
        elif "contentBlockDelta" in event:
            return self._continue(event["contentBlockDelta"])
        return ""

    @property
    def tokens(self) -> int:
        usage = self._metadata.get("usage")
        if usage is not None:
            return int(usage["totalTokens"])
        return (self._asked_characters + self._said_characters) // _CHARACTERS_A_TOKEN

    @property
    def answer(self) -> dict[str, Any]:
        content = [_whole(block) for _, block in sorted(self._blocks.items())]
        return {"output": {"message": {"role": self._role, "content": content}}, **self._stop, **self._metadata}

    def _block(self, event: Mapping[str, Any]) -> dict[str, Any]:
        return self._blocks.setdefault(event["contentBlockIndex"], {})

    def _continue(self, event: Mapping[str, Any]) -> str:
        block, delta = self._block(event), event["delta"]
        self._said_characters += len(delta.get("text") or delta.get("toolUse", {}).get("input", ""))
        for name, more in delta.items():
            _extend(block, name, more)
        return str(delta.get("text", ""))


def _extend(block: dict[str, Any], name: str, more: Any) -> None:
    """Append one part to what there is under its name: text to text, an object's parts to the object's."""
    if isinstance(more, Mapping):
        inner = dict(block.get(name, {}))
        for key, part in more.items():
            _extend(inner, key, part)
        block[name] = inner
    elif isinstance(more, str | bytes | list):
        block[name] = block[name] + more if name in block else more
    else:
        block[name] = more


def _whole(block: dict[str, Any]) -> dict[str, Any]:
    """A finished block: a tool's input came as pieces of JSON; reasoning has its text one level deeper."""
    if "toolUse" in block:
        tool = block["toolUse"]
        return {"toolUse": {**tool, "input": json.loads(tool.get("input") or "{}")}}
    if "reasoningContent" in block and "redactedContent" not in block["reasoningContent"]:
        return {"reasoningContent": {"reasoningText": block["reasoningContent"]}}
    return block


def _text_characters(value: object) -> int:
    """How much text stands anywhere in a request."""
    if isinstance(value, Mapping):
        own = value.get("text")
        return len(own) if isinstance(own, str) else sum(map(_text_characters, value.values()))
    return sum(map(_text_characters, value)) if isinstance(value, list | tuple) else 0
