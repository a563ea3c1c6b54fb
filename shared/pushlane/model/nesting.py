"""How deep JSON may nest. Decoders and encoders recurse, and what one of them can still read another cannot write."""

from typing import Final

NESTING_MAX: Final = 64


def nests_too_deep(value: object) -> bool:
    """Whether objects and arrays of decoded JSON lie more than `NESTING_MAX` deep in each other, `value` included."""
    level = [value]
    for _ in range(NESTING_MAX):
        level = [inner for one in level for inner in _inside(one) if isinstance(inner, dict | list)]
        if not level:
            return False
    return True


def _inside(value: object) -> list[object]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []
