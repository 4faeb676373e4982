"""The signing key's sources: read late, from one place, asked for on a terminal, and never shown."""

import contextlib
import json
import os
import select
import subprocess
import sys
import traceback
from importlib.util import find_spec
from pathlib import Path

import pytest

from quantlab.config import load_settings
from quantlab.kernel.errors import Denied, UsageFault
from quantlab.key_sources import ask_on_terminal, key_present, key_reader
from quantlab.model.key_source import KeySource
from quantlab.venues.hyperliquid.auth import HyperliquidSigner
from tests.unit.venues.hyperliquid.hyperliquid_fakes import PRIVATE_KEY, SIGNER
from tests.unit.venues.hyperliquid.test_keystore import PASSPHRASE, keystore_of

HERE = {"HOME": "/h", "QUANTLAB_ENVIRONMENT": "rehearsal"}
ENTRY = "quantlab hyperliquid/desk"
HASHED = bytes(range(32))


def variable(name="DESK_KEY"):
    """Return a variable as a key's source."""
    return KeySource(kind="environment", name=name)


def file(name="key.json"):
    """Return a keystore file as a key's source."""
    return KeySource(kind="keystore", name=str(name))


def entry(name=ENTRY):
    """Return an entry of the keyring as a key's source."""
    return KeySource(kind="keyring", name=name)


def never(prompt):
    """Fail the test when somebody is asked."""
    pytest.fail(f"asked: {prompt}")


def refusal(call, kind=Denied):
    """Return the fault of a call, having looked that its traceback shows neither key nor passphrase."""
    with pytest.raises(kind) as caught:
        call()
    shown = "".join(traceback.format_exception(caught.value)) + repr(caught.value.refusals)
    assert PRIVATE_KEY[2:] not in shown
    assert PASSPHRASE not in shown
    assert "othing was signed" in caught.value.message
    return caught.value


# --------------------------------------------------------------------------------------- variables


def test_a_key_in_the_process(tmp_path):
    """It is looked up when the signer signs, not before, and is known for redaction from then on."""
    settings = load_settings({**HERE, "DESK_KEY": PRIVATE_KEY}, tmp_path)
    assert key_present(variable(), settings)
    read = key_reader(variable(), settings, ask=never)
    signer = HyperliquidSigner(address=SIGNER, read_private_key=read)
    assert PRIVATE_KEY in settings.redact(PRIVATE_KEY)
    signer.sign(HASHED, network="testnet")
    assert PRIVATE_KEY[2:] not in settings.redact(PRIVATE_KEY)


def test_a_key_in_the_file(tmp_path):
    """With the group from `.env`, so is the key; that of the process is another one's."""
    (tmp_path / ".env").write_text(f"QUANTLAB_ENVIRONMENT=rehearsal\nDESK_KEY={PRIVATE_KEY}\n")
    settings = load_settings({"HOME": "/h", "DESK_KEY": "0x" + "6f" * 32, "OTHER": PRIVATE_KEY}, tmp_path)
    assert PRIVATE_KEY == key_reader(variable(), settings)()
    assert not key_present(variable("OTHER"), settings)
    fault = refusal(key_reader(variable("OTHER"), settings))
    assert ("hyperliquid_key_missing", "OTHER") == (fault.code, fault.refusals[0].measured)
    assert "in .env" in fault.message


def test_a_variable_without_a_value(tmp_path):
    """A missing or empty one is no key, and the refusal says where it was looked for."""
    settings = load_settings({**HERE, "EMPTY": ""}, tmp_path)
    for name in ("EMPTY", "MISSING"):
        assert not key_present(variable(name), settings)
        fault = refusal(key_reader(variable(name), settings))
        assert ("hyperliquid_key_missing", True) == (fault.code, "of this process" in fault.message)


@pytest.mark.parametrize("name", ["", "A B", PRIVATE_KEY, "A" * 65])
def test_what_is_no_name_of_a_variable(name, tmp_path):
    """It is a wrong line, told at once and without showing what stood there."""
    settings = load_settings(HERE, tmp_path)
    for call in (lambda: key_present(variable(name), settings), lambda: key_reader(variable(name), settings)):
        assert "key_variable_name" == refusal(call, UsageFault).code


# ---------------------------------------------------------------------------------- keystore files


@pytest.fixture
def desk(tmp_path):
    """Return settings of a folder that holds a keystore file, `key.json`."""
    (tmp_path / "key.json").write_text(json.dumps(keystore_of()))
    return load_settings(HERE, tmp_path)


def test_a_keystore_asks_when_it_signs(desk, tmp_path):
    """Each signature asks once, naming file and address; nothing is asked or read before, nothing is kept."""
    asked = []

    def ask(prompt):
        asked.append(prompt)
        return PASSPHRASE

    assert key_present(file(), desk)
    read = key_reader(file(), desk, ask=ask)
    signer = HyperliquidSigner(address=SIGNER, read_private_key=read)
    assert [] == asked
    for _ in range(2):
        signer.sign(HASHED, network="testnet")
    assert [f"Passphrase of {tmp_path / 'key.json'} ({SIGNER}): "] * 2 == asked
    kept = [cell.cell_contents for cell in read.__closure__]
    assert 2 == len(kept)
    assert ask in kept
    assert tmp_path / "key.json" in kept


def test_a_path_of_its_own(desk, tmp_path):
    """A whole path is taken as it is; a keystore without an address has none in the prompt."""
    path = tmp_path / "far" / "k"
    path.parent.mkdir()
    path.write_text(json.dumps(keystore_of(address=None)))
    asked = []
    assert PRIVATE_KEY == key_reader(file(path), desk, ask=lambda prompt: asked.append(prompt) or PASSPHRASE)()
    assert [f"Passphrase of {path}: "] == asked


def test_a_wrong_passphrase_signs_nothing(desk):
    """The refusal of the keystore reaches the signer's caller."""
    read = key_reader(file(), desk, ask=lambda prompt: "wrong")
    signer = HyperliquidSigner(address=SIGNER, read_private_key=read)
    assert "keystore_passphrase_wrong" == refusal(lambda: signer.sign(HASHED, network="mainnet")).code


def test_a_file_that_cannot_be_opened_asks_nobody(desk, tmp_path):
    """A passphrase is typed for a keystore, and for nothing else."""
    path = tmp_path / "key.json"
    path.write_text("{}")
    assert "keystore_malformed" == refusal(key_reader(file(), desk, ask=never)).code
    path.write_bytes(b" " * (64 * 1024 + 1))
    assert "keystore_too_large" == refusal(key_reader(file(), desk, ask=never)).code


def test_what_is_no_file(desk, tmp_path):
    """A missing file, a folder, a pipe and an endless name hold no key, and nothing waits for them."""
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    for name in ("missing", "folder", "pipe", "key.json/inner", "x" * 5000):
        assert not key_present(file(name), desk)
        assert "keystore_missing" == refusal(key_reader(file(name), desk, ask=never)).code


def test_a_forbidden_file(desk, monkeypatch):
    """A file that may not be opened is refused with the system's reason."""

    def forbidden(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", forbidden)
    fault = refusal(key_reader(file(), desk, ask=never))
    assert ("keystore_unreadable", True) == (fault.code, "Permission denied" in fault.message)


@pytest.mark.parametrize("name", ["", "a\0b"])
def test_what_is_no_path(name, desk):
    """No path is empty or holds a NUL."""
    for call in (lambda: key_present(file(name), desk), lambda: key_reader(file(name), desk)):
        assert "keystore_path" == refusal(call, UsageFault).code


# ------------------------------------------------------------------------------------ the terminal

ASKING = """
import fcntl, sys, termios
from quantlab.kernel.errors import Denied
from quantlab.key_sources import ask_on_terminal
if sys.argv[1] in ("controlling", "redirected"):
    fcntl.ioctl(2, termios.TIOCSCTTY, 0)
if sys.argv[1] == "strange":
    class Strange:
        def isatty(self):
            return True
        def readline(self, *_):
            raise AssertionError("read without hiding")
    sys.stdin = Strange()
try:
    print(ascii(ask_on_terminal("Passphrase: ")))
except Denied as fault:
    print(fault.code, repr(fault.__context__))
"""


def asked_on(how, typed):
    """Return what a process on a terminal of its own made of `typed`, and all that the terminal showed."""
    main, end = os.openpty()
    with (
        os.fdopen(main, "r+b", buffering=0) as screen,
        subprocess.Popen(
            [sys.executable, "-X", "utf8", "-c", ASKING, how],
            stdin=subprocess.DEVNULL if how == "redirected" else end,
            stdout=subprocess.PIPE,
            stderr=end,
            start_new_session=True,
        ) as process,
        contextlib.ExitStack() as at_last,
    ):
        at_last.callback(process.kill)
        os.close(end)
        shown = b""
        while b"Passphrase: " not in shown and typed:
            assert select.select([screen], [], [], 60)[0], shown
            shown += screen.read(1024)
        screen.write(typed)
        answer, _ = process.communicate(timeout=60)
        # At the end Linux says that the other side is gone.
        with contextlib.suppress(OSError):
            while select.select([screen], [], [], 0)[0] and (more := screen.read(1024)):
                shown += more
    assert 0 == process.returncode, shown
    return answer.decode().strip(), shown


@pytest.mark.parametrize("how", ["controlling", "plain"])
def test_a_terminal_hides_what_is_typed(how):
    """A process on a terminal gets the passphrase, and the terminal does not show it."""
    answer, shown = asked_on(how, "open s\u00e9same\n".encode())
    assert "'open s\\xe9same'" == answer
    assert b"same" not in shown


@pytest.mark.parametrize("typed", [b"\x04", b"ses\xffame\n"])
def test_a_terminal_that_gives_no_passphrase(typed):
    """One that is closed, and bytes that are no text: refused, without the bytes."""
    answer, shown = asked_on("controlling", typed)
    assert "passphrase_missing None" == answer
    assert b"ses" not in shown


@pytest.mark.parametrize("how", ["strange", "redirected"])
def test_a_terminal_that_is_not_asked(how):
    """Where typing would show, or input is redirected though a terminal is near, nobody is asked to type."""
    answer, shown = asked_on(how, b"")
    assert "passphrase_needs_terminal None" == answer
    assert b"Passphrase: " not in shown


@pytest.mark.parametrize("closed", [True, False])
def test_without_a_terminal_nobody_is_asked(closed, desk, monkeypatch):
    """A pipe or nothing on standard input is no terminal; the default way of asking refuses."""
    with Path(os.devnull).open() as nothing:
        monkeypatch.setattr(sys, "stdin", None if closed else nothing)
        assert "passphrase_needs_terminal" == refusal(lambda: ask_on_terminal("Passphrase: ")).code
        assert "passphrase_needs_terminal" == refusal(key_reader(file(), desk)).code


# ------------------------------------------------------------------------------------- the keyring


@pytest.mark.parametrize("name", ["", "desk", "/desk", "service/", "ser\nvice/desk", "service/de\x1bsk"])
def test_what_is_no_entry(name, tmp_path):
    """An entry has a service and a user."""
    settings = load_settings(HERE, tmp_path)
    for call in (lambda: key_present(entry(name), settings), lambda: key_reader(entry(name), settings)):
        assert "keyring_entry_name" == refusal(call, UsageFault).code


def test_without_the_keyring_package(tmp_path, monkeypatch):
    """The refusal tells how to install it."""
    if find_spec("keyring") is not None:
        monkeypatch.setitem(sys.modules, "keyring", None)
    settings = load_settings(HERE, tmp_path)
    assert not key_present(entry(), settings)
    read = key_reader(entry(), settings, ask=never)
    fault = refusal(read)
    assert "keyring_not_installed" == fault.code
    assert "pip install 'quantlab[secrets]'" in fault.message


def test_a_keyring_package_that_does_not_load(tmp_path, monkeypatch):
    """A package that is there and broken has failed: it is not called missing."""
    for name in [name for name in sys.modules if name.split(".")[0] == "keyring"]:
        monkeypatch.delitem(sys.modules, name)
    (tmp_path / "keyring").mkdir()
    (tmp_path / "keyring" / "__init__.py").write_text("import a_backend_that_is_not_there\n")
    monkeypatch.syspath_prepend(tmp_path)
    settings = load_settings(HERE, tmp_path)
    assert key_present(entry(), settings)
    fault = refusal(key_reader(entry(), settings))
    assert ("keyring_failed", "ModuleNotFoundError") == (fault.code, fault.refusals[0].measured)


def test_the_keyring_is_imported_only_when_asked_for():
    """Neither the module nor the question whether a key is there loads the package."""
    code = (
        "import sys, pathlib; from quantlab.key_sources import *; from quantlab.config import load_settings;"
        "s = load_settings({'HOME': '/h'}, pathlib.Path('.')); k = KeySource(kind='keyring', name='a/b');"
        "key_present(k, s); key_reader(k, s); key_reader(KeySource(kind='keystore', name='a'), s);"
        "print([m for m in ('keyring', 'getpass', 'Crypto', 'coincurve') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ("[]\n", "") == (done.stdout, done.stderr)


@pytest.fixture
def ring(monkeypatch):
    """Return a backend of the keyring that is in force, and holds one key; or skip and say why."""
    # No backend of this machine is looked at.
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.null.Keyring")
    keyring = pytest.importorskip("keyring", reason="the extra 'secrets' (keyring) is not installed")
    backend = pytest.importorskip("keyring.backend", reason="the extra 'secrets' (keyring) is not installed")

    class Ring(backend.KeyringBackend):
        priority = 1

        def __init__(self):
            super().__init__()
            self.kept = {}
            self.fault = None
            self.read = []

        def get_password(self, service, username):
            self.read.append((service, username))
            if self.fault is not None:
                raise self.fault
            return self.kept.get((service, username))

        def set_password(self, service, username, password):
            self.kept[service, username] = password

    before, ring = keyring.get_keyring(), Ring()
    keyring.set_keyring(ring)
    keyring.set_password("quantlab hyperliquid", "desk", PRIVATE_KEY)
    yield ring
    keyring.set_keyring(before)


def test_a_key_in_the_keyring(ring, tmp_path):
    """It is read when the signer signs, once a signature, and not for saying that one may be there."""
    settings = load_settings(HERE, tmp_path)
    assert key_present(entry(), settings)
    signer = HyperliquidSigner(address=SIGNER, read_private_key=key_reader(entry(), settings, ask=never))
    assert [] == ring.read
    signer.sign(HASHED, network="testnet")
    assert [("quantlab hyperliquid", "desk")] == ring.read


def test_a_service_with_slashes(ring, tmp_path):
    """The last slash parts service and user."""
    ring.set_password("https://desk.example/a", "me", PRIVATE_KEY)
    read = key_reader(entry("https://desk.example/a/me"), load_settings(HERE, tmp_path))
    assert PRIVATE_KEY == read()


def test_an_entry_that_is_not_there(ring, tmp_path):
    """A missing or empty entry is no key."""
    ring.set_password("quantlab", "empty", "")
    for name in ("quantlab/other", "quantlab/empty"):
        fault = refusal(key_reader(entry(name), load_settings(HERE, tmp_path)))
        assert ("keyring_entry_missing", name) == (fault.code, fault.refusals[0].measured)


def test_a_keyring_that_is_locked(ring, tmp_path):
    """Its fault is named by its kind, and nothing of what it says is shown."""
    from keyring.errors import KeyringLocked

    ring.fault = KeyringLocked(PRIVATE_KEY)
    fault = refusal(key_reader(entry(), load_settings(HERE, tmp_path)))
    assert ("keyring_failed", "KeyringLocked", None) == (fault.code, fault.refusals[0].measured, fault.__context__)


def test_a_machine_without_a_keyring(ring, tmp_path):
    """Where nothing keeps keys, the package says so, and that is a fault and not an absence."""
    import keyring
    from keyring.backends import fail

    keyring.set_keyring(fail.Keyring())
    fault = refusal(key_reader(entry(), load_settings(HERE, tmp_path)))
    assert ("keyring_failed", "NoKeyringError") == (fault.code, fault.refusals[0].measured)


BACKEND_OF_SETTINGS = """
import pathlib
from quantlab.config import load_settings
from quantlab.key_sources import Denied, KeySource, key_reader
try:
    key_reader(KeySource(kind="keyring", name="a/b"), load_settings({"HOME": "/h"}, pathlib.Path(".")))()
except Denied as fault:
    print(fault.code, fault.refusals[0].measured, fault.__context__)
"""


@pytest.mark.parametrize(
    ("variable", "file_text", "answer"),
    [
        ("not_there.Keyring", None, "keyring_failed ModuleNotFoundError None"),
        ("os.Keyring", None, "keyring_failed AttributeError None"),
        ("", None, "keyring_failed ValueError None"),
        (None, "no section\n", "keyring_failed MissingSectionHeaderError None"),
        ("keyring.backends.fail.Keyring", None, "keyring_failed NoKeyringError None"),
        ("keyring.backends.null.Keyring", None, "keyring_entry_missing a/b None"),
    ],
)
def test_a_keyring_whose_own_settings_are_wrong(ring, variable, file_text, answer, tmp_path, monkeypatch):
    """A backend that the package's own settings name and that does not load is a refusal, not a defect."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.delenv("PYTHON_KEYRING_BACKEND")
    if variable is not None:
        monkeypatch.setenv("PYTHON_KEYRING_BACKEND", variable)
    if file_text is not None:
        (tmp_path / "python_keyring").mkdir()
        (tmp_path / "python_keyring" / "keyringrc.cfg").write_text(file_text)
    # The package may stand on this process's own path alone.
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
    done = subprocess.run([sys.executable, "-c", BACKEND_OF_SETTINGS], capture_output=True, text=True, check=False)
    assert (answer + "\n", "") == (done.stdout, done.stderr)
