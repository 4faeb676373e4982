"""The composition root: the one module that knows concrete venues, and hands every rung its desk."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from quantlab.config import Settings, read_policy
from quantlab.kernel.clock import Clock, SystemClock
from quantlab.kernel.errors import Denied
from quantlab.kernel.ids import Entropy, SystemEntropy
from quantlab.kernel.result import NextStep
from quantlab.model.execution import SignedAction
from quantlab.model.policy import policy_digest
from quantlab.model.reconciliation import LIVE_SETTLE_SECONDS
from quantlab.rungs.corridors import CORRIDORS, KRAKEN
from quantlab.rungs.desk import Desk
from quantlab.rungs.surroundings import DeskSettings, NamedInput, VenueSide
from quantlab.storage.durable import Disk, OsDisk, make_folders
from quantlab.storage.ledger import Ledger

if TYPE_CHECKING:
    from quantlab.venues.sockets import Connector

KRAKEN_URL: Final = "https://api.kraken.com"
KRAKEN_STREAM_URL: Final = "wss://ws-auth.kraken.com/v2"
KRAKEN_PUBLIC_STREAM_URL: Final = "wss://ws.kraken.com/v2"
HYPERLIQUID_URLS: Final = {
    "live": ("https://api.hyperliquid.xyz", "wss://api.hyperliquid.xyz/ws"),
    "testnet": ("https://api.hyperliquid-testnet.xyz", "wss://api.hyperliquid-testnet.xyz/ws"),
}
LEDGER_FILE: Final = "ledger.sqlite3"
_KRAKEN_INPUTS: Final = ("KRAKEN_API_KEY", "KRAKEN_API_SECRET")
_ALL_INPUTS: Final = (
    *_KRAKEN_INPUTS,
    "HYPERLIQUID_ACCOUNT",
    "HYPERLIQUID_SIGNER_ID",
    "HYPERLIQUID_PRIVATE_KEY",
)


def build_desk(
    settings: Settings,
    *,
    corridor: Literal["kraken", "hyperliquid"] | None,
    progress: Callable[[str], None],
    spell: Callable[[NextStep], str],
) -> Desk:
    """Return the desk of one command on the machine's own disk, clock, entropy and network.

    Needs no network. ``progress`` prints a line for the operator; ``spell`` writes a next command as they spell it.

    Raises:
        UsageFault: the policy file or a setting is wrong; nothing was written or sent.
    """
    return assemble(
        settings,
        corridor=corridor,
        progress=progress,
        spell=spell,
        disk=OsDisk(),
        clock=SystemClock(),
        entropy=SystemEntropy(),
        connector=None,
    )


def assemble(
    settings: Settings,
    *,
    corridor: Literal["kraken", "hyperliquid"] | None,
    progress: Callable[[str], None],
    spell: Callable[[NextStep], str],
    disk: Disk,
    clock: Clock,
    entropy: Entropy,
    connector: Connector | None,
    open_ledger: Callable[[], Ledger] | None = None,
) -> Desk:
    """Return a desk on given effect ports; a simulator hands in virtual ones and an in-memory ledger."""
    wall_clock = _wall_clock(settings, clock, connector)
    return Desk(
        settings=_desk_settings(settings),
        corridor=KRAKEN if corridor is None else CORRIDORS[corridor],
        disk=disk,
        clock=wall_clock,
        entropy=entropy,
        open_ledger=open_ledger or (lambda: _open_ledger(settings.state_dir, disk, entropy)),
        progress=progress,
        venue=None if corridor is None else lambda desk: _SIDES[corridor](desk, settings, connector),
        spell=spell,
    )


def _desk_settings(settings: Settings) -> DeskSettings:
    choice = read_policy(settings)

    def inputs(names: tuple[str, ...]) -> tuple[NamedInput, ...]:
        return tuple(NamedInput(name=name, present=settings.is_present(name)) for name in names)

    return DeskSettings(
        environment=settings.environment,
        environment_source=settings.source,
        ignored_file_names=settings.ignored_file_names,
        state_folder=settings.state_dir,
        policy=choice.policy,
        policy_sha256=policy_digest(choice.policy),
        policy_source="the built-in defaults" if choice.path is None else str(choice.path),
        all_inputs=inputs(_ALL_INPUTS),
        settle_seconds=_settle_seconds(settings),
        actor=_operating_user(),
    )


def _operating_user() -> str:
    import os
    import pwd

    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"uid {os.getuid()}"


def _settle_seconds(settings: Settings) -> int:
    chosen = settings.rehearsal_settle_seconds
    return LIVE_SETTLE_SECONDS if chosen is None else chosen


def _open_ledger(state: Path, disk: Disk, entropy: Entropy) -> Ledger:
    # Loaded here: help and completion need no database.
    from quantlab.storage.ledger_sqlite import SqliteLedger

    make_folders(disk, state)
    return SqliteLedger(state / LEDGER_FILE, entropy=entropy)


def _wall_clock(settings: Settings, clock: Clock, connector: Connector | None) -> Clock:
    url = settings.kraken_url or settings.hyperliquid_url
    if settings.environment != "rehearsal" or url is None:
        return clock
    from quantlab.venues.rehearsal_clock import RehearsalClock

    return RehearsalClock(system=clock, connector=connector or _connector(settings, clock), base_url=url)


def _connector(settings: Settings, clock: Clock) -> Connector:
    from quantlab.venues.sockets import SocketConnector

    return SocketConnector(clock=clock, extra_ca_file=settings.rehearsal_ca)


def _kraken_side(desk: Desk, settings: Settings, connector: Connector | None) -> VenueSide:
    from quantlab.venues.kraken import classify
    from quantlab.venues.kraken.auth import KrakenCredentials
    from quantlab.venues.kraken.orders import KrakenOrders
    from quantlab.venues.kraken.reads import KrakenReads
    from quantlab.venues.redaction import Redactor
    from quantlab.venues.transport import Transport

    url = settings.venue_url("kraken")
    base_url = url or KRAKEN_URL
    stream_url = KRAKEN_STREAM_URL if url is None else _stream_url(url, "/v2")
    public_stream_url = KRAKEN_PUBLIC_STREAM_URL if url is None else _stream_url(url, "/v2")
    redactor = Redactor()
    wire = connector or _connector(settings, desk.clock)
    transport = Transport(connector=wire, clock=desk.clock, redactor=redactor, needs_attempt=classify.needs_attempt)
    key, secret = settings.kraken_api_key, settings.kraken_api_secret
    credentials = None
    if key is not None and secret is not None:
        credentials = KrakenCredentials(read_api_key=key.reveal, read_api_secret=secret.reveal, redactor=redactor)
    reads = KrakenReads(
        transport=transport,
        base_url=base_url,
        credentials=credentials,
        turns=desk.turns,
        clock=desk.clock,
        stream_url=stream_url,
        public_stream_url=public_stream_url,
        connector=wire,
        redactor=redactor,
    )

    def effects(signed: SignedAction | None) -> KrakenOrders:
        del signed
        if credentials is None:
            raise Denied("The venue's credentials are missing. Nothing was sent.", code="credentials_missing")
        return KrakenOrders(transport=transport, base_url=base_url, credentials=credentials, clock=desk.clock)

    return VenueSide(
        reads=reads,
        effects=effects,
        take_exchanges=transport.tape.take,
        missing=tuple(name for name in _KRAKEN_INPUTS if not settings.is_present(name)),
    )


def _hyperliquid_side(desk: Desk, settings: Settings, connector: Connector | None) -> VenueSide:
    from quantlab.key_sources import key_present, key_reader
    from quantlab.venues.hyperliquid import classify
    from quantlab.venues.hyperliquid.auth import HyperliquidSigner
    from quantlab.venues.hyperliquid.orders import HyperliquidOrders
    from quantlab.venues.hyperliquid.reads import HyperliquidReads
    from quantlab.venues.redaction import Redactor
    from quantlab.venues.transport import Transport

    url = settings.venue_url("hyperliquid")
    environment = settings.require_environment()
    base_url, stream_url = HYPERLIQUID_URLS[environment] if url is None else (url, _stream_url(url, "/ws"))
    wire = connector or _connector(settings, desk.clock)
    transport = Transport(connector=wire, clock=desk.clock, redactor=Redactor(), needs_attempt=classify.needs_attempt)
    account = desk.served.account or settings.hyperliquid_account
    signer = desk.served.signer or settings.hyperliquid_signer_id
    reads = HyperliquidReads(
        transport=transport,
        base_url=base_url,
        account=account,
        signer=signer,
        turns=desk.turns,
        clock=desk.clock,
        stream_url=stream_url,
        connector=wire,
    )

    def effects(signed: SignedAction | None) -> HyperliquidOrders:
        return HyperliquidOrders(
            transport=transport,
            base_url=base_url,
            signer=HyperliquidSigner(
                address=reads.signer_id, read_private_key=key_reader(desk.served.key_source, settings)
            ),
            environment=environment,
            vault_address=reads.vault_address() if signed is None else signed.vault_address,
        )

    needed = (("HYPERLIQUID_ACCOUNT", account), ("HYPERLIQUID_SIGNER_ID", signer))
    return VenueSide(
        reads=reads,
        effects=effects,
        take_exchanges=transport.tape.take,
        missing=tuple(name for name, value in needed if value is None),
        account=None if account is None else reads.account,
        key_present=lambda source: key_present(source, settings),
    )


_SIDES: Final = {"kraken": _kraken_side, "hyperliquid": _hyperliquid_side}


def _stream_url(url: str, path: str) -> str:
    return url.rstrip("/").replace("http", "ws", 1) + path
