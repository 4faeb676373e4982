"""Settings: one reader of the environment, one origin for environment, addresses and keys."""

import os
import pickle
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from quantlab import config, config_files
from quantlab.config import GROUP_NAMES, SETTING_NAMES, Secret, load_settings, read_policy
from quantlab.kernel.errors import Denied, UsageFault
from quantlab.model.policy import Policy

HERE = {"HOME": "/h"}
REHEARSAL = {**HERE, "QUANTLAB_ENVIRONMENT": "rehearsal"}
URL = "http://127.0.0.1:8080"


def refusal(environ, cwd):
    """Return the fault of settings that are refused."""
    with pytest.raises(UsageFault) as caught:
        load_settings(environ, cwd)
    return caught.value


def test_nothing_is_set(tmp_path):
    """Without any setting all is unset, and no venue is talked to."""
    found = load_settings(HERE, tmp_path)
    assert ("none", None, ()) == (found.source, found.environment, found.ignored_file_names)
    assert frozenset() == found.present_names
    assert found.kraken_api_key is None
    with pytest.raises(Denied) as caught:
        found.require_environment()
    assert "environment_not_set" == caught.value.code
    with pytest.raises(Denied):
        found.venue_url("kraken")


@pytest.mark.parametrize("name", ["live", "testnet", "rehearsal"])
def test_environments(name, tmp_path):
    """Three environments exist, to the letter."""
    found = load_settings({**HERE, "QUANTLAB_ENVIRONMENT": name}, tmp_path)
    assert (name, name, "process") == (found.environment, found.require_environment(), found.source)


@pytest.mark.parametrize("name", ["Live", "live ", "prod", "\x1b[2J"])
def test_another_environment_is_refused(name, tmp_path):
    """Nothing near an environment passes as one."""
    fault = refusal({**HERE, "QUANTLAB_ENVIRONMENT": name}, tmp_path)
    assert ("environment_unknown", "live, testnet, rehearsal") == (
        fault.code,
        fault.refusals[0].limit,
    )


def test_all_from_the_process(tmp_path):
    """Everything that the process sets arrives, secrets wrapped."""
    environ = {
        **REHEARSAL,
        "KRAKEN_API_KEY": "key",
        "KRAKEN_API_SECRET": "secret",
        "HYPERLIQUID_PRIVATE_KEY": "0xkey",
        "HYPERLIQUID_ACCOUNT": "0xa",
        "HYPERLIQUID_SIGNER_ID": "0xs",
        "QUANTLAB_KRAKEN_URL": URL + "/",
        "QUANTLAB_HYPERLIQUID_URL": "https://[::1]:1",
        "QUANTLAB_POLICY": "p.toml",
        "QUANTLAB_STATE_DIR": "s",
        "QUANTLAB_REHEARSAL_CA": "ca.pem",
        "QUANTLAB_REHEARSAL_SETTLE_SECONDS": "2",
        "QUANTLAB_LOG": "/l/q.log",
    }
    found = load_settings(environ, tmp_path)
    secrets = (found.kraken_api_key, found.kraken_api_secret, found.hyperliquid_private_key)
    assert ["key", "secret", "0xkey"] == [each.reveal() for each in secrets if each is not None]
    assert ("0xa", "0xs") == (found.hyperliquid_account, found.hyperliquid_signer_id)
    assert (URL, "https://[::1]:1") == (found.venue_url("kraken"), found.venue_url("hyperliquid"))
    assert (tmp_path / "p.toml", tmp_path / "s") == (found.policy_path, found.state_dir)
    assert (tmp_path / "ca.pem", 2) == (found.rehearsal_ca, found.rehearsal_settle_seconds)
    assert Path("/l/q.log") == found.log_path
    assert set(SETTING_NAMES) == found.present_names
    assert found.is_present("KRAKEN_API_KEY")
    assert not found.is_present("HOME")


def test_all_from_the_file(tmp_path):
    """With none of the group in the process, the file gives all of it; a file may be shared."""
    path = tmp_path / ".env"
    path.write_text("QUANTLAB_ENVIRONMENT=live\nexport KRAKEN_API_KEY='k' # c\nQUANTLAB_LOG=q\n")
    path.chmod(0o600)
    found = load_settings({**HERE, "QUANTLAB_LOG": "other"}, tmp_path)
    assert ("live", "file", ()) == (found.environment, found.source, found.warnings)
    assert found.kraken_api_key is not None
    assert tmp_path / "other" == found.log_path
    path.chmod(0o644)
    [warning] = load_settings(HERE, tmp_path).warnings
    assert "chmod 600" in warning


@pytest.mark.parametrize("name", GROUP_NAMES)
def test_the_two_are_never_mixed(name, tmp_path):
    """One name of the group in the process, even an empty one, and the file's group is left aside."""
    (tmp_path / ".env").write_text("QUANTLAB_ENVIRONMENT=live\nKRAKEN_API_SECRET=file-secret\n")
    found = load_settings({**HERE, name: ""}, tmp_path)
    assert "process" == found.source
    assert ("QUANTLAB_ENVIRONMENT", "KRAKEN_API_SECRET") == found.ignored_file_names
    assert (None, None) == (found.environment, found.kraken_api_secret)
    [warning] = found.warnings
    assert name in warning
    assert "file-secret" not in warning


def test_a_file_without_the_group(tmp_path):
    """A file that only names the policy does not become the origin of the group."""
    (tmp_path / ".env").write_text("QUANTLAB_POLICY=p\nPYTHONPATH=$x\n")
    found = load_settings(HERE, tmp_path)
    assert ("none", (), tmp_path / "p") == (found.source, found.warnings, found.policy_path)


@pytest.mark.parametrize("name", ["QUANTLAB_KRAKEN_URL", "QUANTLAB_HYPERLIQUID_URL"])
@pytest.mark.parametrize("environment", ["live", "testnet"])
def test_addresses_are_for_rehearsal(name, environment, tmp_path):
    """An address of a venue is refused outside rehearsal."""
    environ = {**HERE, name: URL, "QUANTLAB_ENVIRONMENT": environment}
    assert "rehearsal_setting" == refusal(environ, tmp_path).code


def test_without_an_environment_an_address_does_no_harm(tmp_path):
    """What is left of a rehearsal without its environment is no fault of its own: no venue is spoken to."""
    environ = {**HERE, "QUANTLAB_KRAKEN_URL": URL, "QUANTLAB_REHEARSAL_SETTLE_SECONDS": "1"}
    assert load_settings(environ, tmp_path).environment is None


@pytest.mark.parametrize("name", ["QUANTLAB_REHEARSAL_CA", "QUANTLAB_REHEARSAL_SETTLE_SECONDS"])
def test_shortcuts_are_for_rehearsal(name, tmp_path):
    """A throwaway authority and short settle times are refused outside rehearsal."""
    environ = {**HERE, name: "1", "QUANTLAB_ENVIRONMENT": "live"}
    assert "rehearsal_setting" == refusal(environ, tmp_path).code


def test_only_loopback(tmp_path):
    """In rehearsal an address is of this machine."""
    environ = {**REHEARSAL, "QUANTLAB_KRAKEN_URL": "https://api.kraken.com"}
    assert "url_not_loopback" == refusal(environ, tmp_path).code


def test_the_address_of_a_venue(tmp_path):
    """Rehearsal needs an address; live has none; Kraken has no testnet."""
    with pytest.raises(UsageFault, match="QUANTLAB_HYPERLIQUID_URL is not set") as caught:
        load_settings(REHEARSAL, tmp_path).venue_url("hyperliquid")
    assert "rehearsal_url_missing" == caught.value.code
    live = load_settings({**HERE, "QUANTLAB_ENVIRONMENT": "live"}, tmp_path)
    assert live.venue_url("kraken") is None
    testnet = load_settings({**HERE, "QUANTLAB_ENVIRONMENT": "testnet"}, tmp_path)
    assert testnet.venue_url("hyperliquid") is None
    with pytest.raises(UsageFault, match="Kraken has no testnet"):
        testnet.venue_url("kraken")


@pytest.mark.parametrize("text", ["sesame\n", "ses ame", "ses\u00e9ame", "ses\x00ame"])
@pytest.mark.parametrize("name", [*config.SECRET_NAMES, "HYPERLIQUID_ACCOUNT"])
def test_a_key_that_was_copied_badly(name, text, tmp_path):
    """A key with blanks, line breaks or foreign characters is refused without being shown."""
    fault = refusal({**HERE, name: text}, tmp_path)
    assert "setting_malformed" == fault.code
    assert name in fault.message
    assert "ses" not in fault.message


@pytest.mark.parametrize("text", ["-1", "1.5", "x", "86401", "9" * 30])
def test_settle_seconds(text, tmp_path):
    """Settle times are whole seconds within a day."""
    environ = {**REHEARSAL, "QUANTLAB_REHEARSAL_SETTLE_SECONDS": text}
    assert "settle_seconds" == refusal(environ, tmp_path).code


def test_a_path_with_a_nul(tmp_path):
    """No path holds a NUL."""
    assert "setting_malformed" == refusal({**HERE, "QUANTLAB_LOG": "a\0"}, tmp_path).code


@pytest.mark.parametrize(
    ("environ", "folder"),
    [
        ({"HOME": "/h"}, "/h/.local/state/quantlab"),
        ({"HOME": "/h", "XDG_STATE_HOME": "/x"}, "/x/quantlab"),
        ({"HOME": "/h", "XDG_STATE_HOME": "relative"}, "/h/.local/state/quantlab"),
        ({"QUANTLAB_STATE_DIR": "/s"}, "/s"),
    ],
)
def test_the_state_folder(environ, folder, tmp_path):
    """The state stands in the user's state folder unless told otherwise."""
    assert Path(folder) == load_settings(environ, tmp_path).state_dir


def test_no_home(tmp_path):
    """Without a home and without a setting there is no guess."""
    assert "state_dir_unknown" == refusal({}, tmp_path).code
    assert "state_dir_unknown" == refusal({"HOME": "relative"}, tmp_path).code


@pytest.mark.parametrize(
    ("environ", "user"),
    [
        ({"LOGNAME": "ada", "USER": "bob"}, "ada"),
        ({"USER": "bob"}, "bob"),
        ({}, f"uid-{os.getuid()}"),
        ({"USER": "a b\n"}, f"uid-{os.getuid()}"),
    ],
)
def test_who_runs_the_program(environ, user, tmp_path):
    """The machine's word for the user, or their number where it says nothing usable."""
    assert user == load_settings({**HERE, **environ}, tmp_path).user


def test_files_that_cannot_be_read(tmp_path):
    """A huge, binary or forbidden file is refused by name; a folder of its name is no file."""
    path = tmp_path / ".env"
    path.mkdir()
    assert "none" == load_settings(HERE, tmp_path).source
    path.rmdir()
    path.write_bytes(b"#" * (64 * 1024 + 1))
    assert "env_file_too_large" == refusal(HERE, tmp_path).code
    path.write_bytes(b"\xff")
    assert "env_file_not_text" == refusal(HERE, tmp_path).code


def test_a_forbidden_file(tmp_path, monkeypatch):
    """A file that may not be opened is refused with the system's reason."""
    (tmp_path / ".env").write_text("")

    def forbidden(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", forbidden)
    fault = refusal(HERE, tmp_path)
    assert "env_file_unreadable" == fault.code
    assert "Permission denied" in fault.message


def test_a_bad_line_names_its_number(tmp_path):
    """A bad line ends everything, by number."""
    (tmp_path / ".env").write_text("KRAKEN_API_KEY=ses ame\n")
    assert "line 1" == refusal(HERE, tmp_path).refusals[0].measured


def test_the_policy(tmp_path):
    """The named file, else the one in the folder, else the defaults; a missing named one is refused."""
    found = load_settings(HERE, tmp_path)
    assert (Policy(), None) == (read_policy(found).policy, read_policy(found).path)
    (tmp_path / "quantlab.toml").write_text("daily_orders = 3\n")
    choice = read_policy(found)
    assert (3, tmp_path / "quantlab.toml") == (choice.policy.daily_orders, choice.path)
    named = load_settings({**HERE, "QUANTLAB_POLICY": "other.toml"}, tmp_path)
    with pytest.raises(UsageFault, match="Defaults do not replace it") as caught:
        read_policy(named)
    assert "policy_file_missing" == caught.value.code
    (tmp_path / "other.toml").write_text("daily_orders = 4\n")
    assert 4 == read_policy(named).policy.daily_orders


def test_a_secret_never_shows_itself():
    """Text, representation, formatting and copying give nothing away; only reveal does."""
    secret = Secret("sesame")
    assert ["[redacted]"] * 4 == [str(secret), repr(secret), f"{secret}", f"{secret:>40}"]
    assert "sesame" == secret.reveal()
    with pytest.raises(TypeError, match="not copied"):
        pickle.dumps(secret)
    assert not hasattr(secret, "__dict__")


def test_settings_never_show_a_secret(tmp_path, canaries):
    """The settings themselves can be printed, and redact what holds a secret in any spelling."""
    environ = {
        **HERE,
        "KRAKEN_API_KEY": canaries.kraken_key,
        "KRAKEN_API_SECRET": canaries.kraken_secret,
        "HYPERLIQUID_PRIVATE_KEY": canaries.hyperliquid_private_key,
    }
    found = load_settings(environ, tmp_path)
    assert [] == canaries.find_in(repr(found))
    bare = canaries.hyperliquid_private_key.removeprefix("0x")
    text = found.redact(f"{canaries.kraken_key} {canaries.kraken_secret} {bare} end")
    assert [] == canaries.find_in(text)
    assert bare not in text
    assert text.endswith(" end")
    assert "as it is" == load_settings(HERE, tmp_path).redact("as it is")


def test_the_process_itself(tmp_path, monkeypatch):
    """The process's environment and folder are read here alone; a folder that is gone is refused."""
    assert os.environ == config.process_environ()
    monkeypatch.chdir(tmp_path)
    assert tmp_path == config.working_directory()
    assert config.interpreter_dir().is_absolute()

    def gone():
        raise FileNotFoundError

    monkeypatch.setattr(Path, "cwd", gone)
    with pytest.raises(UsageFault, match="does not exist any more"):
        config.working_directory()


def test_a_named_secret_of_the_process(tmp_path):
    """With the group in the process, a named key comes from there, never from the file."""
    (tmp_path / ".env").write_text("QUANTLAB_ENVIRONMENT=live\nDESK_KEY=file-sesame\nFILE_KEY=file-sesame\n")
    found = load_settings({**REHEARSAL, "DESK_KEY": "process-sesame", "EMPTY_KEY": ""}, tmp_path)
    assert found.is_named_secret_present("DESK_KEY")
    assert "process-sesame" == found.named_secret("DESK_KEY").reveal()
    for name in ("FILE_KEY", "EMPTY_KEY", "desk_key"):
        assert (False, None) == (found.is_named_secret_present(name), found.named_secret(name))


def test_a_named_secret_of_the_file(tmp_path):
    """With the group in the file, a named key comes from there, as the file was when it was read."""
    path = tmp_path / ".env"
    path.write_text("QUANTLAB_ENVIRONMENT=live\nexport DESK_KEY='file-sesame' # mine\n")
    found = load_settings({**HERE, "DESK_KEY": "process-sesame", "OTHER_KEY": "process-sesame"}, tmp_path)
    path.write_text("DESK_KEY=another\n")
    assert found.is_named_secret_present("DESK_KEY")
    assert "file-sesame" == found.named_secret("DESK_KEY").reveal()
    assert (False, None) == (found.is_named_secret_present("OTHER_KEY"), found.named_secret("OTHER_KEY"))


def test_a_named_secret_without_a_group(tmp_path):
    """With the group from nowhere, the process is asked: a file without the group is not its origin."""
    (tmp_path / ".env").write_text("DESK_KEY=file-sesame\nFILE_KEY=file-sesame\n")
    found = load_settings({**HERE, "DESK_KEY": "process-sesame"}, tmp_path)
    assert ("none", "process-sesame") == (found.source, found.named_secret("DESK_KEY").reveal())
    assert found.named_secret("FILE_KEY") is None


@pytest.mark.parametrize("in_file", [False, True])
def test_the_usual_key_by_its_name(in_file, tmp_path):
    """The setting's own name leads to the setting's own key."""
    environ = {"QUANTLAB_ENVIRONMENT": "live", "HYPERLIQUID_PRIVATE_KEY": "0xsesame"}
    if in_file:
        (tmp_path / ".env").write_text("".join(f"{name}={value}\n" for name, value in environ.items()))
    found = load_settings(HERE if in_file else {**HERE, **environ}, tmp_path)
    assert "0xsesame" == found.named_secret("HYPERLIQUID_PRIVATE_KEY").reveal()
    assert "0xsesame" == found.hyperliquid_private_key.reveal()


@pytest.mark.parametrize("name", ["", "1KEY", "A B", "A=B", "A\n", "\u00c4KEY", "A" * 65, "5e" * 32, "0x" + "5e" * 32])
def test_what_is_no_name_of_a_variable(name, tmp_path):
    """A key in the place of its name is refused, and not shown: it stands in a command line already."""
    found = load_settings(HERE, tmp_path)
    for call in (found.named_secret, found.is_named_secret_present):
        with pytest.raises(UsageFault) as caught:
            call(name)
        assert ("key_variable_name", None) == (caught.value.code, caught.value.refusals[0].measured)
        assert not name or name not in caught.value.message


def test_the_longest_name_of_a_variable(tmp_path):
    """Sixty-four characters are a name."""
    assert "sesame" == load_settings({**HERE, "_" * 64: "sesame"}, tmp_path).named_secret("_" * 64).reveal()


def test_a_named_secret_that_was_copied_badly(tmp_path):
    """It is refused when it is asked for, by its name or its line, without being shown."""
    found = load_settings({**HERE, "DESK_KEY": "ses ame"}, tmp_path)
    with pytest.raises(UsageFault) as fault:
        found.named_secret("DESK_KEY")
    assert ("setting_malformed", "DESK_KEY") == (fault.value.code, fault.value.refusals[0].measured)
    assert "ses" not in fault.value.message
    (tmp_path / ".env").write_text("QUANTLAB_ENVIRONMENT=live\nDESK_KEY=ses ame\nTWICE=sesame\nTWICE=sesame\n")
    found = load_settings(HERE, tmp_path)
    for name, line in (("DESK_KEY", "line 2"), ("TWICE", "line 4")):
        with pytest.raises(UsageFault) as fault:
            found.named_secret(name)
        assert ("env_file_line", line) == (fault.value.code, fault.value.refusals[0].measured)
        assert "ses" not in fault.value.message


@pytest.mark.parametrize("in_file", [False, True])
def test_named_secrets_never_show_themselves(in_file, tmp_path, canaries):
    """Neither taken nor before; once taken they are redacted in any spelling, and they are not copied."""
    key = canaries.hyperliquid_private_key
    if in_file:
        (tmp_path / ".env").write_text(f"QUANTLAB_ENVIRONMENT=live\nDESK_KEY={key}\n")
    found = load_settings(HERE if in_file else {**REHEARSAL, "DESK_KEY": key}, tmp_path)
    assert f"seen {key}" == found.redact(f"seen {key}")
    assert found.is_named_secret_present("DESK_KEY")
    assert f"seen {key}" == found.redact(f"seen {key}")
    secret = found.named_secret("DESK_KEY")
    assert "[redacted]" == str(secret)
    for spelling in (key, key[2:], key.upper(), key[2:].encode().hex()):
        assert spelling not in found.redact(f"seen {spelling} end")
    assert [] == canaries.find_in(repr(found) + str(found) + repr(found.further_secrets))
    with pytest.raises(TypeError, match="not copied"):
        pickle.dumps(found.further_secrets)
    read = config_files.read_text(tmp_path / ".env", "env_file")
    assert (not in_file) == (read is None)
    assert [] == canaries.find_in(repr(read))


VALUES = st.one_of(st.sampled_from(["", "live", "rehearsal", URL, "1"]), st.text(max_size=20))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(st.sampled_from(SETTING_NAMES), VALUES))
def test_any_environment_is_read_or_refused(tmp_path, environ):
    """No value of any setting raises anything but the usage fault."""
    try:
        found = load_settings({**HERE, **environ}, tmp_path)
    except UsageFault:
        return
    assert found.present_names == {name for name, value in environ.items() if value}
