"""Reading the signing key: from a named variable, an encrypted keystore file, or the operating system's keyring.

A key is read when something is signed, is handed to the signer and is not kept here. Whether one is there can be told
without reading it. Nothing here writes, and no fault shows a key or a passphrase.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import NoReturn, assert_never

from quantlab.config import ENV_FILE_NAME, Settings
from quantlab.config_secrets import check_variable_name
from quantlab.kernel.errors import Denied, UsageFault
from quantlab.model.key_source import KeySource


def key_present(source: KeySource, settings: Settings) -> bool:
    """Return whether the source seems to hold a key. No secret is read and nobody is asked.

    A variable must have a value, a keystore file must exist. What a keyring holds is known only when it is read: there
    True means that the `keyring` package is installed.

    Raises:
        UsageFault: the source's name cannot be one of its kind.
    """
    match source.kind:
        case "environment":
            return settings.is_named_secret_present(source.name)
        case "keystore":
            return _is_file(_keystore_path(source.name, settings))
        case "keyring":
            _keyring_entry(source.name)
            return find_spec("keyring") is not None
    assert_never(source.kind)


def ask_on_terminal(prompt: str) -> str:
    """Return what a person types on the terminal, which does not show it.

    Raises:
        Denied: there is no terminal to ask on, it cannot hide what is typed, or it was closed. Nothing was signed.
    """
    import getpass
    import warnings

    if sys.stdin is None or not sys.stdin.isatty():
        _refuse_asking()
    # Raised below, outside of the handlers: a decoder's error carries what was typed.
    with warnings.catch_warnings():
        warnings.simplefilter("error", getpass.GetPassWarning)
        try:
            return getpass.getpass(prompt)
        except getpass.GetPassWarning:
            can_hide = False
        except (EOFError, UnicodeError):
            can_hide = True
    if not can_hide:
        _refuse_asking()
    message = "No usable passphrase was typed. Nothing was signed."
    raise Denied(message, code="passphrase_missing")


def key_reader(
    source: KeySource, settings: Settings, *, ask: Callable[[str], str] = ask_on_terminal
) -> Callable[[], str]:
    """Return the function that reads the private key in hex, for a signer. Nothing is read before it is called.

    The function raises ``Denied`` when there is no key to be had: nothing was signed then. For a keystore file it asks
    a person, each time.

    Args:
        source: Where the key is.
        settings: Says where the environment, URLs and keys come from, and learns a variable's key for redaction.
        ask: Shows a prompt and returns the passphrase that was typed.

    Raises:
        UsageFault: the source's name cannot be one of its kind. Nothing was read.
    """
    match source.kind:
        case "environment":
            check_variable_name(source.name)
            return lambda: _from_variable(source.name, settings)
        case "keystore":
            path = _keystore_path(source.name, settings)
            return lambda: _from_keystore(path, ask)
        case "keyring":
            service, user = _keyring_entry(source.name)
            return lambda: _from_keyring(service, user)
    assert_never(source.kind)


# ------------------------------------------------------------------------------------------ a variable


def _from_variable(name: str, settings: Settings) -> str:
    secret = settings.named_secret(name)
    if secret is None:
        place = (
            f"in {ENV_FILE_NAME}, where the environment and the keys come from"
            if settings.source == "file"
            else "in the environment of this process"
        )
        message = f"The key's variable {name} has no value {place}. Nothing was signed."
        raise Denied(message, code="hyperliquid_key_missing", measured=name)
    return secret.reveal()


# ------------------------------------------------------------------------------------- a keystore file


def _keystore_path(name: str, settings: Settings) -> Path:
    if not name or "\0" in name:
        message = "The keystore file is given by its path, and this is none. Nothing was signed."
        raise UsageFault(message, code="keystore_path")
    return settings.cwd / name


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:
        return False


def _from_keystore(path: Path, ask: Callable[[str], str]) -> str:
    # Loaded here: most commands never sign.
    from quantlab.venues.hyperliquid.keystore import LARGEST_KEYSTORE_BYTES, decrypt_keystore, keystore_address

    if not _is_file(path):
        message = f"There is no keystore file {path}, or it may not be looked at. Nothing was signed."
        raise Denied(message, code="keystore_missing", measured=str(path))
    try:
        with path.open("rb") as file:
            text = file.read(LARGEST_KEYSTORE_BYTES + 1)
    except OSError as error:
        message = f"The keystore file {path} cannot be read: {error.strerror}. Nothing was signed."
        raise Denied(message, code="keystore_unreadable", measured=str(path)) from None
    # Before the person is asked: a file that cannot be opened deserves no passphrase.
    address = keystore_address(text)
    claimed = "" if address is None else f" ({address})"
    return decrypt_keystore(text, ask(f"Passphrase of {path}{claimed}: "))


def _refuse_asking() -> NoReturn:
    message = (
        "The keystore's passphrase is asked on a terminal that hides what is typed, and there is none here. Nothing was"
        " signed: run the command in a terminal, without redirecting its input."
    )
    raise Denied(message, code="passphrase_needs_terminal")


# ---------------------------------------------------------------------------------------- the keyring


def _keyring_entry(name: str) -> tuple[str, str]:
    """Return service and user. The last slash parts them, so that a service may be an address."""
    service, _, user = name.rpartition("/")
    if not service or not user or not name.isprintable():
        limit = "SERVICE/USER"
        message = f"A key in the keyring is named {limit}, both of them printable. Nothing was signed."
        raise UsageFault(message, code="keyring_entry_name", limit=limit)
    return service, user


def _from_keyring(service: str, user: str) -> str:
    if find_spec("keyring") is None:
        message = (
            "The key is named in the keyring, but the keyring package is not installed. Nothing was signed: run"
            " pip install 'quantlab[secrets]'."
        )
        raise Denied(message, code="keyring_not_installed")
    key, failure = _ask_keyring(service, user)
    entry = f"{service}/{user}"
    if failure is not None:
        message = f"The keyring gave no key for {entry} ({failure}): unlock it, or set one up. Nothing was signed."
        raise Denied(message, code="keyring_failed", measured=failure)
    if not key:
        message = f"The keyring holds no key under {entry}. Nothing was signed."
        raise Denied(message, code="keyring_entry_missing", measured=entry)
    return key


def _ask_keyring(service: str, user: str) -> tuple[str | None, str | None]:
    """Return the key, None when there is none; and the name of what failed, None when nothing did.

    Only the name: what a keyring says of its fault may hold anything.
    """
    import configparser

    # Imported only for those who keep a key there.
    try:
        import keyring.errors

        backend = keyring.get_keyring()
    # Its own settings, a variable or a file, name the backend that it loads.
    except (ImportError, AttributeError, ValueError, RuntimeError, OSError, configparser.Error) as error:
        return None, type(error).__name__
    try:
        return backend.get_password(service, user), None
    except keyring.errors.KeyringError as error:
        return None, type(error).__name__
