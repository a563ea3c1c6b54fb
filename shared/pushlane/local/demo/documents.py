"""The documents that the demonstration works on: found in a folder, and cut into sections for the noisy tenant."""

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from pushlane.model.errors import PushlaneError

MEDIA_TYPES: Final = {".md": "text/markdown", ".html": "text/html"}
DOCUMENTS_MAX: Final = 300
CHARACTERS_MAX: Final = 1_000_000
SECTION_CHARACTERS_MIN: Final = 200
# Not the reader's documents: what tools install, build or test with.
_SKIPPED_FOLDERS: Final = frozenset({"node_modules", "build", "dist", "cdk.out", "tests", "__pycache__"})
_HEADING: Final = re.compile(r"^#{1,6}\s")
_FENCE: Final = re.compile(r"^\s*(```|~~~)")


class Document(Struct, frozen=True, kw_only=True):
    """One document. `name` is its path in the folder that was searched; `path` is where the file is."""

    name: str
    path: Path
    media_type: str
    text: str

    @property
    def payload(self) -> dict[str, str]:
        return {"name": self.name, "media_type": self.media_type, "text": self.text}


class Skipped(Struct, frozen=True, kw_only=True):
    """A file that looks like a document and cannot be taken, and why."""

    name: str
    reason: str


class NoDocuments(PushlaneError):
    """The folder has nothing to work on."""

    def __init__(self, folder: Path) -> None:
        super().__init__(f"{folder}: no *.md or *.html with text in it; point DOCS at a folder that has some")


def find(folder: Path) -> tuple[list[Document], list[Skipped]]:
    """All documents under `folder` (at most `DOCUMENTS_MAX`), and what was left out. Raises `NoDocuments`."""
    documents: list[Document] = []
    skipped: list[Skipped] = []
    for path in _paths(folder):
        name = path.relative_to(folder).as_posix()
        text, reason = _read(path)
        reason = reason or (f"more than {DOCUMENTS_MAX} documents" if len(documents) == DOCUMENTS_MAX else "")
        if reason:
            skipped.append(Skipped(name=name, reason=reason))
        else:
            documents.append(Document(name=name, path=path, media_type=MEDIA_TYPES[path.suffix.lower()], text=text))
    if not documents:
        raise NoDocuments(folder)
    return documents, skipped


def spread(documents: Sequence[Document], count: int) -> list[Document]:
    """At most so many of them, from all over the folder."""
    wanted = min(count, len(documents))
    return [documents[place * len(documents) // wanted] for place in range(wanted)]


def sections(documents: Sequence[Document]) -> list[Document]:
    """Section-sized documents: Markdown cut at its headings, short sections joined to the next; HTML stays whole."""
    return [section for document in documents for section in _sections(document)]


def _paths(folder: Path) -> Iterator[Path]:
    for parent, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if name not in _SKIPPED_FOLDERS and not name.startswith("."))
        yield from (Path(parent, name) for name in sorted(files) if Path(name).suffix.lower() in MEDIA_TYPES)


def _read(path: Path) -> tuple[str, str]:
    """The text, or why there is none."""
    try:
        path.name.encode()
        text = path.read_text(encoding="utf-8")
    except UnicodeError:
        return "", "not UTF-8, in its text or its name"
    except OSError as error:
        return "", f"unreadable: {error.strerror}"
    if not text.strip():
        return "", "empty"
    return text, f"longer than {CHARACTERS_MAX} characters" if len(text) > CHARACTERS_MAX else ""


def _sections(document: Document) -> Iterator[Document]:
    if document.media_type != "text/markdown":
        yield document
        return
    for number, text in enumerate(_cut(document.text), start=1):
        yield msgspec.structs.replace(document, name=f"{document.name}.{number}", text=text)


def _cut(text: str) -> Iterator[str]:
    lines: list[str] = []
    fenced = False
    for line in text.splitlines(keepends=True):
        if not fenced and _HEADING.match(line) and sum(map(len, lines)) >= SECTION_CHARACTERS_MIN:
            yield "".join(lines)
            lines = []
        fenced ^= bool(_FENCE.match(line))
        lines.append(line)
    if "".join(lines).strip():
        yield "".join(lines)
