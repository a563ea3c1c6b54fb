"""Which files become documents, and how they are cut."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pushlane.local.demo import documents
from pushlane.local.demo.documents import Document, NoDocuments, find, sections


def write(folder: Path, name: str, text: str = "# Title\n\nText.\n") -> None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def names(folder: Path) -> list[str]:
    return [one.name for one in find(folder)[0]]


def test_markdown_and_html_are_found_in_all_folders_but_the_tools_own(tmp_path: Path) -> None:
    for name in ("README.md", "docs/a.html", "docs/deep/b.md", "notes.txt"):
        write(tmp_path, name)
    for folder in (".venv", ".git", "node_modules", "build", "cdk.out", "tests"):
        write(tmp_path, f"{folder}/x.md")
    assert names(tmp_path) == ["README.md", "docs/a.html", "docs/deep/b.md"]


def test_media_types_follow_the_suffix(tmp_path: Path) -> None:
    write(tmp_path, "a.md")
    write(tmp_path, "b.HTML")
    assert [one.media_type for one in find(tmp_path)[0]] == ["text/markdown", "text/html"]


def test_what_cannot_be_taken_is_named_with_the_reason(tmp_path: Path) -> None:
    write(tmp_path, "good.md")
    write(tmp_path, "empty.md", " \n")
    (tmp_path / "latin.md").write_bytes(b"caf\xe9")
    write(tmp_path, "huge.md", "x" * (documents.CHARACTERS_MAX + 1))
    found, skipped = find(tmp_path)
    assert [one.name for one in found] == ["good.md"]
    assert {one.name: one.reason.split()[0] for one in skipped} == {
        "empty.md": "empty",
        "latin.md": "not",
        "huge.md": "longer",
    }


def test_more_documents_than_the_limit_are_left_out_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents, "DOCUMENTS_MAX", 2)
    for name in ("a.md", "b.md", "c.md"):
        write(tmp_path, name)
    found, skipped = find(tmp_path)
    assert ([one.name for one in found], [one.name for one in skipped]) == (["a.md", "b.md"], ["c.md"])


def test_a_few_are_taken_from_all_over_the_folder(tmp_path: Path) -> None:
    for number in range(10):
        write(tmp_path, f"{number}.md")
    found, _ = find(tmp_path)
    assert [one.name for one in documents.spread(found, 3)] == ["0.md", "3.md", "6.md"]
    assert documents.spread(found, 99) == found


def test_a_folder_without_documents_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(NoDocuments, match="DOCS"):
        find(tmp_path)


def markdown(text: str) -> Document:
    return Document(name="a.md", path=Path("/a.md"), media_type="text/markdown", text=text)


def test_sections_are_cut_at_headings_that_are_no_code() -> None:
    long = "word " * 60
    cut = sections([markdown(f"# One\n{long}\n## Two\n```\n# no heading\n{long}\n```\n## Three\n{long}\n")])
    assert [one.text.splitlines()[0] for one in cut] == ["# One", "## Two", "## Three"]
    assert [one.name for one in cut] == ["a.md.1", "a.md.2", "a.md.3"]


def test_short_sections_stay_with_the_next() -> None:
    assert len(sections([markdown("# A\nshort\n# B\nshort\n# C\nshort\n")])) == 1


@given(st.text(alphabet="# `a\n", max_size=600))
def test_cutting_loses_nothing(text: str) -> None:
    assert "".join(one.text for one in sections([markdown(text)])).strip() == text.strip()
