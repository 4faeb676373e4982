"""Settings: the only reader of the environment and of the `.env` file in the working directory.

Environment, URLs and keys form one group. The group comes all from the process or all from the
file, never mixed: one name of it in the process is enough for the file's group to be ignored.
Messages name settings and line numbers, never contents. Nothing here writes, and nothing connects.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Literal

import msgspec

from quantlab.config_files import FileText, read_text
from quantlab.config_secrets import REDACTED, NamedSecrets, Secret, check_word
from quantlab.kernel.errors import Denied, UsageFault
from quantlab.kernel.setting_text import loopback_url, parse_env
from quantlab.model.order import Environment
from quantlab.model.policy import Policy, policy_from_toml

__all__ = [
    "ENV_FILE_NAME",
    "GROUP_NAMES",
    "POLICY_FILE_NAME",
    "REDACTED",
    "SECRET_NAMES",
    "SETTING_NAMES",
    "SINGLE_NAMES",
    "PolicyChoice",
    "Secret",
    "Settings",
    "interpreter_dir",
    "load_settings",
    "process_environ",
    "read_policy",
    "working_directory",
]

GROUP_NAMES: Final = (
    "QUANTLAB_ENVIRONMENT",
    "QUANTLAB_KRAKEN_URL",
    "QUANTLAB_HYPERLIQUID_URL",
    "KRAKEN_API_KEY",
    "KRAKEN_API_SECRET",
    "HYPERLIQUID_PRIVATE_KEY",
    "HYPERLIQUID_ACCOUNT",
    "HYPERLIQUID_SIGNER_ID",
)
SINGLE_NAMES: Final = (
    "QUANTLAB_POLICY",
    "QUANTLAB_STATE_DIR",
    "QUANTLAB_REHEARSAL_CA",
    "QUANTLAB_REHEARSAL_SETTLE_SECONDS",
    "QUANTLAB_LOG",
)
SETTING_NAMES: Final = GROUP_NAMES + SINGLE_NAMES
SECRET_NAMES: Final = ("KRAKEN_API_KEY", "KRAKEN_API_SECRET", "HYPERLIQUID_PRIVATE_KEY")
POLICY_FILE_NAME: Final = "quantlab.toml"
ENV_FILE_NAME: Final = ".env"

_LONGEST_SETTLE_SECONDS: Final = 86_400
_USER: Final = re.compile(r"[A-Za-z0-9._@+-]{1,64}")
_ENVIRONMENTS: Final[dict[str, Environment]] = {
    "live": "live",
    "testnet": "testnet",
    "rehearsal": "rehearsal",
}


class PolicyChoice(msgspec.Struct, frozen=True, kw_only=True):
    """The policy in force and the file it came from; ``path`` is None for the built-in defaults."""

    policy: Policy
    path: Path | None


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that the environment and `.env` say, parsed and bounded.

    ``source`` names where the group of environment, URLs and keys came from; ``ignored_file_names``
    are the names of that group which `.env` holds and which were left aside because the process
    sets some.
    """

    cwd: Path
    environment: Environment | None
    source: Literal["process", "file", "none"]
    ignored_file_names: tuple[str, ...]
    present_names: frozenset[str]
    """Every setting that has a value, secrets included, by name."""
    kraken_api_key: Secret | None
    kraken_api_secret: Secret | None
    hyperliquid_private_key: Secret | None
    hyperliquid_account: str | None
    hyperliquid_signer_id: str | None
    kraken_url: str | None
    hyperliquid_url: str | None
    policy_path: Path | None
    """The file that ``QUANTLAB_POLICY`` names."""
    state_dir: Path
    rehearsal_ca: Path | None
    rehearsal_settle_seconds: int | None
    log_path: Path | None
    further_secrets: NamedSecrets
    """Secrets whose names a command gives, from where the group came from: see :meth:`named_secret`."""
    user: str
    """Who runs the program on this machine, for the record. It proves nothing."""
    warnings: tuple[str, ...] = ()

    def is_present(self, name: str) -> bool:
        """Return whether the setting has a value. Says nothing of the value."""
        return name in self.present_names

    def is_named_secret_present(self, name: str) -> bool:
        """Return whether :meth:`named_secret` would find a value. It is given to nobody.

        Raises:
            UsageFault: ``name`` is no name of a variable, or the line of `.env` that holds it cannot be read.
        """
        return self.further_secrets.is_present(name)

    def named_secret(self, name: str) -> Secret | None:
        """Return the secret that stands under ``name`` where the group came from; None when there is none.

        That is `.env` when the group came from there, else the process: a key is never mixed in from the other one.
        From here on :meth:`redact` knows the secret.

        Raises:
            UsageFault: ``name`` is no name of a variable, or its value or line was copied badly. Nothing was signed.
        """
        return self.further_secrets.take(name)

    def require_environment(self) -> Environment:
        """Return the environment; ``Denied`` (``environment_not_set``) when none is set."""
        if self.environment is None:
            message = (
                "QUANTLAB_ENVIRONMENT is not set, so no venue is talked to: set it to live, testnet"
                " or rehearsal. Nothing was sent."
            )
            raise Denied(
                message,
                code="environment_not_set",
                measured="unset",
                limit=", ".join(_ENVIRONMENTS),
            )
        return self.environment

    def venue_url(self, venue: Literal["kraken", "hyperliquid"]) -> str | None:
        """Return the venue's loopback URL in rehearsal; None where its own address is meant.

        Raises:
            Denied: no environment is set.
            UsageFault: rehearsal without a URL, or Kraken's testnet, which does not exist.
        """
        environment = self.require_environment()
        if environment == "testnet" and venue == "kraken":
            message = "Kraken has no testnet: use QUANTLAB_ENVIRONMENT=rehearsal, or live."
            raise UsageFault(message, code="kraken_has_no_testnet", measured="testnet")
        if environment != "rehearsal":
            return None
        url = self.kraken_url if venue == "kraken" else self.hyperliquid_url
        if url is None:
            name = f"QUANTLAB_{venue.upper()}_URL"
            message = (
                f"QUANTLAB_ENVIRONMENT is rehearsal, but {name} is not set: start `quantlab"
                " rehearsal serve` and evaluate `quantlab rehearsal env`. Nothing was sent."
            )
            raise UsageFault(message, code="rehearsal_url_missing", measured="unset")
        return url

    def redact(self, text: str) -> str:
        """Return ``text`` without any secret of these settings, nor one that was named, however it is spelled."""
        own = (self.kraken_api_key, self.kraken_api_secret, self.hyperliquid_private_key)
        texts = [secret.reveal() for secret in (*own, *self.further_secrets.taken) if secret is not None]
        if not texts:
            return text
        from quantlab.venues.redaction import Redactor

        return Redactor(*texts, *(plain.removeprefix("0x") for plain in texts)).redact(text)


def process_environ() -> Mapping[str, str]:
    """Return the environment of this process, for those who hand it on to :func:`load_settings`."""
    return os.environ


def working_directory() -> Path:
    """Return the working directory; ``UsageFault`` when it was removed under the process."""
    try:
        return Path.cwd()
    except OSError as error:
        message = "The working directory does not exist any more: change to one that does."
        raise UsageFault(message, code="working_directory_gone") from error


def load_settings(environ: Mapping[str, str], cwd: Path) -> Settings:
    """Return the settings of a process environment and a working directory.

    Raises:
        UsageFault: a value is wrong, or a line of `.env` cannot be read. The message names the
            setting or the line number, never the content of a key.
    """
    read = read_text(cwd / ENV_FILE_NAME, "env_file")
    file = {} if read is None else parse_env(read.text, SETTING_NAMES)
    in_process = tuple(name for name in GROUP_NAMES if name in environ)
    in_file = tuple(name for name in GROUP_NAMES if name in file)
    values = {name: file.get(name, "") for name in SINGLE_NAMES}
    values.update({name: environ[name] for name in SINGLE_NAMES if name in environ})
    group = environ if in_process else file
    values.update({name: group.get(name, "") for name in GROUP_NAMES})
    source: Literal["process", "file"] = "process" if in_process else "file"
    return _settings(
        {name: value for name, value in values.items() if value},
        environ=environ,
        cwd=cwd,
        source=source if in_process or in_file else "none",
        further_secrets=_further_secrets(environ, read if in_file and not in_process else None),
        ignored=in_file if in_process else (),
        warnings=_warnings(read, in_file=in_file, in_process=in_process),
    )


def read_policy(settings: Settings) -> PolicyChoice:
    """Return the policy of ``QUANTLAB_POLICY``, else of `quantlab.toml`, else the defaults.

    Raises:
        UsageFault: the named file does not exist, or a value in it is refused.
    """
    path = settings.policy_path or settings.cwd / POLICY_FILE_NAME
    read = read_text(path, "policy_file")
    if read is not None:
        return PolicyChoice(policy=policy_from_toml(read.text), path=path)
    if settings.policy_path is not None:
        message = f"QUANTLAB_POLICY names {path}, which is no file. Defaults do not replace it."
        raise UsageFault(message, code="policy_file_missing", measured=str(path))
    return PolicyChoice(policy=Policy(), path=None)


def _warnings(read: FileText | None, *, in_file: tuple[str, ...], in_process: tuple[str, ...]) -> tuple[str, ...]:
    if read is None or not in_file:
        return ()
    if in_process:
        ignored, standing = ", ".join(in_file), ", ".join(in_process)
        return (f"{ENV_FILE_NAME}: {ignored} ignored, because the process sets {standing}.",)
    if read.open_to_others:
        return (f"others on this machine can read {ENV_FILE_NAME}: chmod 600 {ENV_FILE_NAME}.",)
    return ()


def _further_secrets(environ: Mapping[str, str], file: FileText | None) -> NamedSecrets:
    """Return the secrets of the process, or of `.env` when that is given."""
    if file is None:
        return NamedSecrets(environ.get)
    # Kept, not read again: a file that changes meanwhile would mix a new key with an old environment.
    return NamedSecrets(lambda name: parse_env(file.text, (name,)).get(name))


def _default_state_home(environ: Mapping[str, str]) -> Path | None:
    named = environ.get("XDG_STATE_HOME", "")
    if named.startswith("/"):
        return Path(named)
    home = environ.get("HOME", "")
    return Path(home) / ".local" / "state" if home.startswith("/") else None


def _user(environ: Mapping[str, str]) -> str:
    named = environ.get("LOGNAME") or environ.get("USER") or ""
    return named if _USER.fullmatch(named) else f"uid-{os.getuid()}"


def _settings(
    values: Mapping[str, str],
    *,
    environ: Mapping[str, str],
    cwd: Path,
    source: Literal["process", "file", "none"],
    further_secrets: NamedSecrets,
    ignored: tuple[str, ...],
    warnings: tuple[str, ...],
) -> Settings:
    environment, home = _environment(values), _default_state_home(environ)
    state = _path(values, "QUANTLAB_STATE_DIR", cwd) or (home / "quantlab" if home else None)
    if state is None:
        message = "There is no HOME to keep the state folder in: set QUANTLAB_STATE_DIR."
        raise UsageFault(message, code="state_dir_unknown")
    return Settings(
        cwd=cwd,
        environment=environment,
        source=source,
        ignored_file_names=ignored,
        present_names=frozenset(values),
        kraken_api_key=_secret(values, "KRAKEN_API_KEY"),
        kraken_api_secret=_secret(values, "KRAKEN_API_SECRET"),
        hyperliquid_private_key=_secret(values, "HYPERLIQUID_PRIVATE_KEY"),
        hyperliquid_account=_word(values, "HYPERLIQUID_ACCOUNT"),
        hyperliquid_signer_id=_word(values, "HYPERLIQUID_SIGNER_ID"),
        kraken_url=_url(values, "QUANTLAB_KRAKEN_URL", environment),
        hyperliquid_url=_url(values, "QUANTLAB_HYPERLIQUID_URL", environment),
        policy_path=_path(values, "QUANTLAB_POLICY", cwd),
        state_dir=state,
        rehearsal_ca=_rehearsal_ca(values, cwd, environment),
        rehearsal_settle_seconds=_settle_seconds(values, environment),
        log_path=_path(values, "QUANTLAB_LOG", cwd),
        further_secrets=further_secrets,
        user=_user(environ),
        warnings=warnings,
    )


def _environment(values: Mapping[str, str]) -> Environment | None:
    text = values.get("QUANTLAB_ENVIRONMENT")
    if text is None:
        return None
    if text not in _ENVIRONMENTS:
        limit = ", ".join(_ENVIRONMENTS)
        message = f"QUANTLAB_ENVIRONMENT is {text[:40]!r}; it must be one of {limit}."
        raise UsageFault(message, code="environment_unknown", measured=text[:40], limit=limit)
    return _ENVIRONMENTS[text]


def _word(values: Mapping[str, str], name: str) -> str | None:
    text = values.get(name)
    return None if text is None else check_word(name, text)


def _secret(values: Mapping[str, str], name: str) -> Secret | None:
    text = _word(values, name)
    return None if text is None else Secret(text)


def _path(values: Mapping[str, str], name: str, cwd: Path) -> Path | None:
    text = values.get(name)
    if text is None:
        return None
    if "\0" in text:
        message = f"{name} holds a NUL character, which no path has."
        raise UsageFault(message, code="setting_malformed", measured=name)
    return cwd / text


def _only_in_rehearsal(name: str, environment: Environment | None) -> None:
    # Without an environment no venue is spoken to, so the setting can do no harm: the missing one is the message.
    if environment not in {None, "rehearsal"}:
        message = (
            f"{name} is set, but QUANTLAB_ENVIRONMENT is {environment}: it is allowed in rehearsal only. "
            "Nothing was sent."
        )
        raise UsageFault(message, code="rehearsal_setting", measured=environment, limit="rehearsal")


def _rehearsal_ca(values: Mapping[str, str], cwd: Path, environment: Environment | None) -> Path | None:
    path = _path(values, "QUANTLAB_REHEARSAL_CA", cwd)
    if path is not None:
        _only_in_rehearsal("QUANTLAB_REHEARSAL_CA", environment)
    return path


def _settle_seconds(values: Mapping[str, str], environment: Environment | None) -> int | None:
    name = "QUANTLAB_REHEARSAL_SETTLE_SECONDS"
    text = values.get(name)
    if text is None:
        return None
    _only_in_rehearsal(name, environment)
    if not re.fullmatch(r"[0-9]{1,5}", text) or int(text) > _LONGEST_SETTLE_SECONDS:
        limit = f"0 to {_LONGEST_SETTLE_SECONDS}"
        message = f"{name} is {text[:40]!r}; it must be whole seconds, {limit}."
        raise UsageFault(message, code="settle_seconds", measured=text[:40], limit=limit)
    return int(text)


def _url(values: Mapping[str, str], name: str, environment: Environment | None) -> str | None:
    text = values.get(name)
    if text is None:
        return None
    _only_in_rehearsal(name, environment)
    url = loopback_url(text)
    if url is None:
        limit = "http(s)://HOST:PORT with a host of 127.0.0.0/8, [::1] or localhost"
        message = f"{name} is not a loopback address: {limit}. Nothing was sent."
        raise UsageFault(message, code="url_not_loopback", limit=limit)
    return url


def interpreter_dir() -> Path:
    """Return the folder of the running interpreter, as started: the environment's own `bin`."""
    return Path(sys.executable).absolute().parent
