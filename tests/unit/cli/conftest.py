"""A program that runs in memory: its own streams, environment, folder and modules."""

import io
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from quantlab.cli import main as program
from quantlab.cli import table
from quantlab.kernel.result import Result


class Stream(io.TextIOWrapper):
    """A text stream over bytes that may claim to be a terminal."""

    def __init__(self, encoding="utf-8", terminal=False):
        super().__init__(io.BytesIO(), encoding=encoding, write_through=True)
        self.terminal = terminal

    def isatty(self):
        return self.terminal

    @property
    def text(self):
        return self.buffer.getvalue().decode(self.encoding)


class FakeRung:
    """A rung's module: takes any request of its row and ends as it is told."""

    def __init__(self, ending):
        self.ending = ending
        self.seen = None

    def Request(self, **fields):  # noqa: N802 - the name that a rung's module has
        return fields

    def run(self, desk, request):
        self.seen = (desk, request)
        if isinstance(self.ending, BaseException):
            raise self.ending
        return self.ending(desk) if callable(self.ending) else self.ending


class Machine:
    """One program in memory. `modules` are what it can import."""

    def __init__(self, folder):
        self.folder = folder
        self.environ = {"HOME": str(folder / "home")}
        self.stdout = Stream()
        self.stderr = Stream()
        self.platform = "linux"
        self.modules: dict[str, Any] = {}
        self.desks = []

    def build_desk(self, settings, *, corridor, progress, spell):
        self.desks.append((settings, corridor))
        return SimpleNamespace(progress=progress, spell=spell)

    def load(self, name):
        from importlib import import_module

        if name == "quantlab.wiring":
            return SimpleNamespace(build_desk=self.build_desk)
        return self.modules[name] if name in self.modules else import_module(name)

    def rung(self, name, ending=None):
        fake = FakeRung(ending or Result(outcome="done", headline="It is done."))
        self.modules[f"quantlab.rungs.{name}"] = fake
        return fake

    def __call__(self, *argv, program_name="quantlab"):
        self.stdout = self.stdout if self.stdout is None else Stream(self.stdout.encoding)
        self.stderr = Stream()
        around = program.Surroundings(
            environ=self.environ,
            cwd=lambda: self.folder,
            stdout=self.stdout,
            stderr=self.stderr,
            platform=self.platform,
            load=self.load,
        )
        return program.run(list(argv), around, program=program_name)

    @property
    def out(self):
        return self.stdout.text

    @property
    def err(self):
        return self.stderr.text

    @property
    def envelope(self):
        assert self.out.count("\n") == 1
        return msgspec.json.decode(self.out)


@pytest.fixture
def machine(tmp_path):
    """Return a program that runs in memory in an empty folder."""
    return Machine(tmp_path)


@pytest.fixture
def stream():
    """Return the class of streams in memory."""
    return Stream


@pytest.fixture
def command():
    """Return the lookup of a command that exists."""

    def find(name):
        found = table.find_command(name)
        assert found is not None
        return found

    return find
