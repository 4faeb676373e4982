"""The composition root: which ports, addresses and limits a desk is made of."""

import os
import pwd
from pathlib import Path

import msgspec
import pytest

from quantlab import config, wiring
from quantlab.kernel.clock import SystemClock
from quantlab.kernel.errors import Denied, UsageFault
from quantlab.kernel.ids import SystemEntropy
from quantlab.model.key_source import KeySource
from quantlab.rehearsal.accounts import make_keys, profile_env
from quantlab.storage.durable import OsDisk
from quantlab.storage.ledger_sqlite import SqliteLedger
from quantlab.venues.hyperliquid.orders import HyperliquidOrders
from quantlab.venues.kraken.orders import KrakenOrders
from quantlab.venues.rehearsal_clock import RehearsalClock
from tests.support.virtual import HYPERLIQUID_URL, URL, Bench, spell
from tests.unit.evidence.signed import SIGNED_ACTION

KEYS = {name: value for name, value in profile_env(make_keys(7), "trader").items() if name.startswith("KRAKEN")}
REHEARSAL = {"QUANTLAB_ENVIRONMENT": "rehearsal", "QUANTLAB_KRAKEN_URL": URL, **KEYS}
LIVE = {"QUANTLAB_ENVIRONMENT": "live", **KEYS}
SIGNING = {name: value for name, value in profile_env(make_keys(7), "trader").items() if name.startswith("HYPERLIQUID")}


def desk_of(environ: dict[str, str], folder: Path, corridor="kraken"):
    """Return a desk on the machine's own ports."""
    environ = {"QUANTLAB_STATE_DIR": str(folder / "state"), **environ}
    return wiring.build_desk(
        config.load_settings(environ, folder), corridor=corridor, progress=lambda line: None, spell=spell
    )


def test_a_live_desk_speaks_to_the_venue_itself(tmp_path: Path) -> None:
    """Live: the venue's own addresses over TLS, the machine's clock, disk and entropy, sixty seconds of settling."""
    desk = desk_of(LIVE, tmp_path)
    assert isinstance(desk.clock, SystemClock)
    assert isinstance(desk.disk, OsDisk)
    assert isinstance(desk.entropy, SystemEntropy)
    assert desk.settings.settle_seconds == 60
    reads = desk.reads
    assert reads._stream_url == "wss://ws-auth.kraken.com/v2"
    assert reads._public_stream_url == "wss://ws.kraken.com/v2"
    assert isinstance(desk.side.effects(), KrakenOrders)
    assert desk.side.effects()._base_url == "https://api.kraken.com"
    desk.ledger.close()


def test_a_rehearsal_desk_takes_the_exchanges_time_and_address(tmp_path: Path) -> None:
    """Rehearsal: the loopback address for REST and streams, and the exchange's clock."""
    desk = desk_of(REHEARSAL, tmp_path)
    assert isinstance(desk.clock, RehearsalClock)
    assert desk.reads._stream_url == "ws://127.0.0.1:9/v2"
    assert desk.reads._public_stream_url == "ws://127.0.0.1:9/v2"
    assert desk.side.effects()._base_url == URL
    desk.ledger.close()


def test_the_settle_time_can_be_set_in_rehearsal_alone(tmp_path: Path) -> None:
    """Rehearsal obeys the setting, zero included; live does not accept it."""
    short = {"QUANTLAB_REHEARSAL_SETTLE_SECONDS": "0"}
    assert desk_of(REHEARSAL | short, tmp_path).settings.settle_seconds == 0
    try:
        settled = desk_of(LIVE | short, tmp_path).settings.settle_seconds
    except UsageFault:
        settled = 60
    assert settled == 60


def test_the_ledger_stands_in_the_state_folder_and_is_opened_when_needed(tmp_path: Path) -> None:
    """No file before the first use; then one ledger, in a folder made for it, with a lasting id."""
    desk = desk_of(REHEARSAL, tmp_path)
    file = tmp_path / "state" / "ledger.sqlite3"
    assert not file.exists()
    first = desk.ledger.state_id
    desk.ledger.close()
    assert file.exists()
    again = desk_of(REHEARSAL, tmp_path)
    assert first == again.ledger.state_id
    again.ledger.close()


def test_a_simulator_may_bring_its_own_ledger(tmp_path: Path) -> None:
    """The ledger that is handed in is the desk's."""
    bench = Bench(tmp_path)
    ledger = SqliteLedger(":memory:", entropy=bench.entropy)
    desk = wiring.assemble(
        config.load_settings(bench.environ, tmp_path),
        corridor=None,
        progress=lambda line: None,
        spell=spell,
        disk=bench.disk,
        clock=bench.clock,
        entropy=bench.entropy,
        connector=bench.connector,
        open_ledger=lambda: ledger,
    )
    assert desk.ledger is ledger
    ledger.close()


def test_a_command_without_a_venue_has_none(tmp_path: Path) -> None:
    """No corridor: the desk speaks to no venue."""
    desk = desk_of(REHEARSAL, tmp_path, corridor=None)
    with pytest.raises(Denied) as caught:
        _ = desk.side
    assert caught.value.code == "no_venue"


def test_without_keys_reads_and_effects_are_refused(tmp_path: Path) -> None:
    """No credentials: public reads remain, private ones and every effect are refused by name."""
    desk = desk_of({"QUANTLAB_ENVIRONMENT": "live"}, tmp_path)
    assert desk.public_reads.venue == "kraken"
    with pytest.raises(Denied) as caught:
        _ = desk.reads
    assert caught.value.code == "credentials_missing"
    assert "KRAKEN_API_KEY, KRAKEN_API_SECRET" in caught.value.message
    with pytest.raises(Denied) as caught:
        desk.side.effects()
    assert caught.value.code == "credentials_missing"
    desk.ledger.close()


def test_inputs_are_listed_by_name_alone(tmp_path: Path) -> None:
    """Present or missing, never the value."""
    settings = desk_of(LIVE, tmp_path).settings
    assert [("KRAKEN_API_KEY", True), ("KRAKEN_API_SECRET", True)] == [
        (one.name, one.present) for one in settings.all_inputs[:2]
    ]
    assert [False] * 3 == [one.present for one in settings.all_inputs[2:]]
    assert all(value not in repr(settings) for value in KEYS.values())


def test_the_policy_file_is_named_with_its_digest(tmp_path: Path) -> None:
    """Without a file the built-in policy; with one, its path and another digest."""
    built_in = desk_of(REHEARSAL, tmp_path).settings
    assert built_in.policy_source == "the built-in defaults"
    (tmp_path / "quantlab.toml").write_text("daily_orders = 3\n", encoding="utf-8")
    own = desk_of(REHEARSAL, tmp_path).settings
    assert own.policy_source.endswith("quantlab.toml")
    assert own.policy.daily_orders == 3
    assert own.policy_sha256 != built_in.policy_sha256


@pytest.mark.parametrize("known", [True, False])
def test_the_actor_is_the_operating_systems_user(tmp_path: Path, monkeypatch, known: bool) -> None:
    """The user's name, or the number where the system has no name for it."""

    class Row:
        pw_name = "operator"

    def getpwuid(uid):
        if not known:
            raise KeyError(uid)
        return Row

    monkeypatch.setattr(pwd, "getpwuid", getpwuid)
    expected = "operator" if known else f"uid {os.getuid()}"
    assert expected == desk_of(REHEARSAL, tmp_path).settings.actor


# ------------------------------------------------------------------ Hyperliquid


@pytest.mark.parametrize(
    ("environ", "url", "stream_url"),
    [
        ({"QUANTLAB_ENVIRONMENT": "live"}, "https://api.hyperliquid.xyz", "wss://api.hyperliquid.xyz/ws"),
        (
            {"QUANTLAB_ENVIRONMENT": "testnet"},
            "https://api.hyperliquid-testnet.xyz",
            "wss://api.hyperliquid-testnet.xyz/ws",
        ),
        (
            {"QUANTLAB_ENVIRONMENT": "rehearsal", "QUANTLAB_HYPERLIQUID_URL": HYPERLIQUID_URL},
            HYPERLIQUID_URL,
            "ws://127.0.0.1:10/ws",
        ),
    ],
)
def test_hyperliquid_has_an_address_for_each_environment(tmp_path: Path, environ, url, stream_url) -> None:
    """The main network in live, the test network in testnet, loopback in rehearsal; streams beside them."""
    desk = desk_of(environ | SIGNING, tmp_path, corridor="hyperliquid")
    assert stream_url == desk.reads._stream_url
    effects = desk.side.effects(SIGNED_ACTION)
    assert isinstance(effects, HyperliquidOrders)
    assert effects._url == f"{url}/exchange"
    assert effects._network == ("mainnet" if environ["QUANTLAB_ENVIRONMENT"] == "live" else "testnet")
    desk.ledger.close()


def test_what_was_signed_says_whom_the_effects_are_for(tmp_path: Path) -> None:
    """The vault or sub-account of a signed action, without asking the venue and without reading the key."""
    without_key = {name: value for name, value in SIGNING.items() if name != "HYPERLIQUID_PRIVATE_KEY"}
    desk = desk_of({"QUANTLAB_ENVIRONMENT": "testnet", **without_key}, tmp_path, corridor="hyperliquid")
    vault = "0x" + "ba" * 20
    for address in (None, vault):
        signed = msgspec.structs.replace(SIGNED_ACTION, vault_address=address)
        assert address == desk.side.effects(signed)._vault_address
    desk.ledger.close()


@pytest.mark.parametrize("name", ["HYPERLIQUID_ACCOUNT", "HYPERLIQUID_SIGNER_ID"])
def test_without_account_or_signer_no_account_is_read(tmp_path: Path, name: str) -> None:
    """Each missing one is refused by name, unless the command names it; public reads remain."""
    settings = {key: value for key, value in SIGNING.items() if key != name}
    desk = desk_of({"QUANTLAB_ENVIRONMENT": "testnet", **settings}, tmp_path, corridor="hyperliquid")
    assert desk.public_reads.venue == "hyperliquid"
    with pytest.raises(Denied) as caught:
        _ = desk.reads
    assert (caught.value.code, caught.value.refusals[0].measured) == ("credentials_missing", name)
    desk.serve(account=SIGNING["HYPERLIQUID_ACCOUNT"], signer=SIGNING["HYPERLIQUID_SIGNER_ID"])
    assert desk.reads.signer_id == SIGNING["HYPERLIQUID_SIGNER_ID"]
    desk.ledger.close()


def test_the_command_comes_before_the_settings(tmp_path: Path) -> None:
    """Account, signer and key source of the line stand in place of those of the settings."""
    desk = desk_of({"QUANTLAB_ENVIRONMENT": "testnet", **SIGNING}, tmp_path, corridor="hyperliquid")
    assert desk.side.account == SIGNING["HYPERLIQUID_ACCOUNT"]
    account, signer = "0x" + "12" * 20, "0x" + "34" * 20
    desk.serve(account=account, signer=signer, key_source=KeySource(kind="keystore", name="agent.json"))
    assert (account, signer) == (desk.side.account, desk.reads.signer_id)
    assert not desk.side.key_present(desk.served.key_source)
    (tmp_path / "agent.json").write_text("{}")
    assert desk.side.key_present(desk.served.key_source)
    desk.ledger.close()


def test_nonces_of_hyperliquid_count_milliseconds(tmp_path: Path) -> None:
    """Each corridor's keys count in its own unit."""
    for corridor, digits in (("kraken", 19), ("hyperliquid", 13)):
        desk = desk_of({"QUANTLAB_ENVIRONMENT": "live", **KEYS, **SIGNING}, tmp_path, corridor=corridor)
        with desk.turns.turn(corridor) as turn:
            assert digits == len(str(turn.next_nonce()))
        desk.ledger.close()
