"""Secrets as settings hold them: texts that never show themselves, and those whose names a command gives."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final, NoReturn

from quantlab.kernel.errors import UsageFault
from quantlab.kernel.setting_text import PRINTABLE_ASCII

REDACTED: Final = "[redacted]"
_VARIABLE_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")


class Secret:
    """A text that never shows itself: only :meth:`reveal` gives it."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        return REDACTED

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return REDACTED

    def __reduce__(self) -> NoReturn:
        message = "a secret is not copied into another form"
        raise TypeError(message)

    def reveal(self) -> str:
        """Return the text itself. For signing and for redaction, nothing else."""
        return self._text


class NamedSecrets:
    """Secrets under names that only a command gives. Nothing is looked at before it is asked for.

    Args:
        look_up: Returns the value of a variable, None or an empty text when it has none.
    """

    __slots__ = ("_look_up", "_taken")

    def __init__(self, look_up: Callable[[str], str | None]) -> None:
        self._look_up = look_up
        self._taken: dict[str, Secret] = {}

    def __repr__(self) -> str:
        return REDACTED

    def __reduce__(self) -> NoReturn:
        message = "secrets are not copied into another form"
        raise TypeError(message)

    @property
    def taken(self) -> tuple[Secret, ...]:
        """Every secret that was given out, so that it can be redacted."""
        return tuple(self._taken.values())

    def is_present(self, name: str) -> bool:
        """Return whether the variable has a value. ``UsageFault`` when ``name`` is no name of a variable."""
        check_variable_name(name)
        return bool(self._look_up(name))

    def take(self, name: str) -> Secret | None:
        """Return the secret of that name, and remember it for redaction; None when it has no value.

        Raises:
            UsageFault: ``name`` is no name of a variable, or the value was copied badly. Nothing was signed.
        """
        check_variable_name(name)
        text = self._look_up(name)
        if not text:
            return None
        self._taken[name] = Secret(check_word(name, text))
        return self._taken[name]


def check_variable_name(name: str) -> None:
    """Refuse what is no name of a variable. The text is not shown: it may be the key itself.

    Raises:
        UsageFault: ``name`` is not a letter or ``_`` with up to 63 letters, digits or ``_`` behind it.
    """
    if not _VARIABLE_NAME.fullmatch(name):
        limit = "a letter or _, then up to 63 letters, digits or _"
        message = (
            f"The key's variable is given by its name, {limit}: never write the key itself on a command line, and"
            " take a new key if you did. Nothing was signed."
        )
        raise UsageFault(message, code="key_variable_name", limit=limit)


def check_word(name: str, text: str) -> str:
    """Return ``text``, the value of the setting ``name``, when it is one word of printable ASCII.

    Raises:
        UsageFault: it is not; the message names the setting alone.
    """
    if not PRINTABLE_ASCII.fullmatch(text):
        message = f"{name} holds spaces, line breaks or characters outside ASCII: copy it again."
        raise UsageFault(message, code="setting_malformed", measured=name)
    return text
