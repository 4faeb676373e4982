"""Generated files are written, kept in step, and removed when nothing makes them any more."""

import types

import pytest

from tools import generate_docs


@pytest.fixture
def checkout(tmp_path):
    """Return a checkout with one stale, one left-over and one hand-written file."""
    for name, text in {
        "docs/cli.md": "old",
        "schemas/gone/1.json": "{}",
        "docs/hand.md": "kept",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


DOCUMENTS = {"docs/cli.md": "new\n", "schemas/plan/1.json": "{}\n"}


def test_stale_files_are_named(checkout):
    """Changed, missing and left-over files are out of step; hand-written ones are not."""
    expected = ["docs/cli.md", "schemas/gone/1.json", "schemas/plan/1.json"]
    assert expected == generate_docs.find_stale(checkout, DOCUMENTS)


def test_writing_brings_everything_in_step(checkout):
    """After writing nothing is stale and hand-written pages are untouched."""
    generate_docs.write_documents(checkout, DOCUMENTS)
    assert generate_docs.find_stale(checkout, DOCUMENTS) == []
    assert (checkout / "docs/cli.md").read_text() == "new\n"
    assert (checkout / "docs/hand.md").read_text() == "kept"


def test_two_owners_of_one_file_are_refused(monkeypatch):
    """A file has one generator."""
    module = types.SimpleNamespace(documents=lambda: {"docs/cli.md": ""})
    monkeypatch.setattr(generate_docs.importlib, "import_module", lambda name: module)
    with pytest.raises(ValueError, match=r"docs/cli\.md"):
        generate_docs.collect_documents(("one", "two"))


def test_this_checkout_is_in_step():
    """The committed pages and schemas are what the code says."""
    documents = generate_docs.collect_documents(generate_docs.GENERATORS)
    assert generate_docs.find_stale(generate_docs.ROOT, documents) == []
