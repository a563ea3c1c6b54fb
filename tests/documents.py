"""The project's Markdown pages: their links, their anchors, their commands."""

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

ROOT: Final = Path(__file__).resolve().parents[1]
DOCS: Final = ROOT / "docs"
_FENCE: Final = re.compile(r"^```(?P<kind>\w*)\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL)
_CODE: Final = re.compile(r"```.*?^```$|`[^`\n]*`", re.MULTILINE | re.DOTALL)
_LINK: Final = re.compile(r"\]\(([^)\s]+)\)")
_HEADING: Final = re.compile(r"^#{1,6} (.+)$", re.MULTILINE)
_SHELL: Final = frozenset({"", "sh", "bash", "console"})


class Link(NamedTuple):
    """A link of a page to another file, or to a heading (`anchor`)."""

    page: Path
    target: str
    anchor: str

    @property
    def path(self) -> Path:
        return (self.page.parent / self.target).resolve() if self.target else self.page


def pages() -> list[Path]:
    """Every Markdown page that a reader can come to."""
    return [*sorted(ROOT.glob("*.md")), *sorted(DOCS.rglob("*.md")), ROOT / "localstack" / "README.md"]


def links(page: Path) -> list[Link]:
    """The links into this repository; what stands in code is no link."""
    found = _LINK.findall(_CODE.sub("", page.read_text()))
    inside = [one for one in found if not re.match(r"[a-z]+:", one)]
    return [Link(page, *_parted(one)) for one in inside]


def _parted(target: str) -> tuple[str, str]:
    path, _, anchor = target.partition("#")
    return path, anchor


@cache
def anchors(page: Path) -> set[str]:
    """The anchors that GitHub gives to a page's headings."""
    found: list[str] = []
    for heading in _HEADING.findall(_FENCE.sub("", page.read_text())):
        plain = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading).strip().lower()
        slug = re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")
        found.append(f"{slug}-{count}" if (count := sum(_base(one, slug) for one in found)) else slug)
    return set(found)


def _base(known: str, slug: str) -> bool:
    return known == slug or bool(re.fullmatch(rf"{re.escape(slug)}-\d+", known))


def commands(page: Path) -> Iterator[str]:
    """The calls of `pushlane` in a page's shell blocks, each on one line."""
    for fence in _FENCE.finditer(page.read_text()):
        if fence["kind"] in _SHELL:
            for line in fence["body"].replace("\\\n", " ").splitlines():
                yield from re.findall(r"(?:^|[|(;&]\s*|=\$\()(?:[A-Z_]+=\S+ )*((?:\.venv/bin/)?pushlane .+)", line)
