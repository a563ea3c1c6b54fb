"""The words of a text, reduced to comparable stems."""

from __future__ import annotations

import re

_WORD = re.compile(r"[^\W\d_][\w'\u2019-]*")
_ENDINGS = {"ies": 4, "ing": 4, "ied": 4, "ed": 4, "es": 4, "s": 3, "e": 4, "y": 4}
"""Each inflection with the number of characters that must remain for it to be one."""

_STOP_WORDS = """
    a about above after again against all also although always am among an and another any are around as at back be
    because been before being below between both but by came can cannot come could did do does doing done down during
    each either else even ever every few for from further get gets give given goes got had has have having he hence her
    here hers him his how however i if in into is it its itself just keep least less let lets like made make makes many
    may me might more most much must my need needs neither never no nor not nothing now of off often on once one only
    onto or other others otherwise our out over own per rather really same say see several shall she should since so
    some something still such take than that the their them then there these they thing things this those though three
    through thus to too two under until up upon us use used uses using very via want was way we well were what when
    where whether which while who whole whom whose why will with within without would yes yet you your
"""
STOP_WORDS = frozenset(_STOP_WORDS.split())


def stems(text: str) -> tuple[str, ...]:
    """The stem of each word of `text` that carries meaning, in order."""
    words = (word.lower().replace("\u2019", "'").removesuffix("'s") for word in _WORD.findall(text))
    return tuple(stem(word) for word in words if word not in STOP_WORDS and len(word) > 1)


def stem(word: str) -> str:
    """`word` in lower case without its inflection: `queue` and `queued` become `queu`, `bees` becomes `bee`."""
    lowered = word.lower()
    for ending, remaining_min in _ENDINGS.items():
        if lowered.endswith(ending) and len(lowered) - len(ending) >= remaining_min:
            return lowered.removesuffix(ending)
    return lowered
