"""The log is appended to and never ends a command; a dead stream is silenced."""

import os

import pytest

from quantlab.storage.diagnostics import append_text, silence


def test_append(tmp_path):
    """Text is appended to a private file; odd characters are spelled out."""
    path = tmp_path / "q.log"
    assert append_text(path, "a\n")
    assert append_text(path, "\udc80\n")
    assert "a\n\\udc80\n" == path.read_text()
    assert 0o600 == path.stat().st_mode & 0o777


def test_a_log_that_cannot_be_opened(tmp_path):
    """A missing folder or a folder in its place is said, not raised."""
    assert not append_text(tmp_path / "no" / "q.log", "a")
    assert not append_text(tmp_path, "a")


def test_a_log_that_takes_nothing(tmp_path, monkeypatch):
    """A full disk is said, not raised."""

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", full)
    assert not append_text(tmp_path / "q.log", "a")


def test_silence():
    """What is written to a silenced descriptor goes nowhere; a bad one is an error."""
    read, written = os.pipe()
    silence(written)
    os.write(written, b"x")
    os.close(written)
    assert b"" == os.read(read, 1)
    os.close(read)
    with pytest.raises(OSError, match="Bad file descriptor"):
        silence(-1)
