"""The Hyperliquid walk on the bench: sign, submit once, and everything after, one command at a time."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

from quantlab.kernel.result import Result
from quantlab.storage.ledger import Signing
from tests.support.virtual import Bench
from tests.unit.rehearsal.driving import request_bytes

ARTIFACT = "hyperliquid_signed_action.json"
PATH = "/exchange"


class HyperliquidBench(Bench):
    """A bench at the Hyperliquid face; the seed's order is 0.25 ETH for 500 USDC."""

    def __init__(self, folder: Path, *, profile: str = "trader", seed: int = 7) -> None:
        super().__init__(folder, profile=profile, seed=seed, corridor="hyperliquid")
        self.outdirs = 0

    # ------------------------------------------------------------------------------------ the walk

    def outdir(self) -> Path:
        """Return an outdir of its own."""
        self.outdirs += 1
        return self.folder / "outputs" / "signed" / str(self.outdirs)

    def preflight(self, **changes: Any) -> Result:
        return self.run("preflight", **({"outdir": self.folder / "preflight", "symbol": "ETH"} | changes))

    def account_readiness(self, **changes: Any) -> Result:
        return self.run("account", **({"outdir": self.folder / "account"} | changes))

    def sign(self, **changes: Any) -> Result:
        """Sign the seed's order, with changes; into an outdir of its own unless one is given."""
        fields: dict[str, Any] = {
            "symbol": "ETH",
            "side": "buy",
            "quantity": Decimal("0.25"),
            "notional": Decimal(500),
        } | changes
        if "outdir" not in fields:
            fields["outdir"] = self.outdir()
        return self.run("sign", **fields)

    def signed(self, **changes: Any) -> Path:
        """Return the path of an artifact that is signed."""
        result = self.sign(**changes)
        assert result.outcome == "done", (result.headline, result.refusals)
        return Path(result.artifacts[0])

    def submit(self, artifact: Path, **changes: Any) -> Result:
        fields = {"artifact": artifact, "reviewer": "marce", "confirm": True, "note": "once", "root": self.root}
        return self.run("submit_signed", **(fields | changes))

    def submitted(self, **changes: Any) -> Path:
        """Return the folder of a session whose order was accepted."""
        result = self.submit(self.signed(**changes))
        assert result.outcome == "done", (result.headline, result.refusals)
        return self.root / str(result.session_id)

    def unknown(self, fault: str = "drop_after_accept", value: Any = None, **changes: Any) -> Path:
        """Return the folder of a session whose send ended unknown through a fault on the order."""
        artifact = self.signed(**changes)
        self.fault(fault, type="order", **({} if value is None else {"value": value}))
        result = self.submit(artifact)
        assert result.outcome == "unknown", (result.headline, result.refusals)
        return self.root / str(result.session_id)

    def resting(self, **changes: Any) -> Path:
        """Return the folder of an open limit order that does not trade at once."""
        bid, _ = self.bbo()
        price = (bid * Decimal("0.99")).quantize(Decimal("0.1"))
        return self.submitted(**({"limit_price": price, "time_in_force": "gtc"} | changes))

    def supervise(self, session: Path, **changes: Any) -> Result:
        return self.run("supervise", **({"session": session, "polls": 4, "interval_seconds": 15} | changes))

    def burn(self, session: Path, **changes: Any) -> Result:
        """Burn the nonce of a session, or of an artifact that was never sent."""
        fields = {"session": session, "reviewer": "marce", "confirm": True, "note": "end it", "root": self.root}
        return self.run("burn", **(fields | changes))

    def revoke(self, path: Path, **changes: Any) -> Result:
        """Take back what was signed and not sent."""
        return self.burn(path, **({"revoke": True} | changes))

    def certify(self, **changes: Any) -> Result:
        fields = {"outdir": self.folder / "certification", "reviewer": "marce", "confirm": True}
        return self.run("certify", **(fields | changes))

    # ------------------------------------------------------------------------------------ looking

    def fault(self, name: str, path: str = PATH, **more: Any) -> None:
        """Arm a fault of the Hyperliquid face."""
        self.world.control("POST", "/faults", {"venue": "hyperliquid", "path": path, "fault": name, **more})

    def post(self, path: str, body: Any) -> Any:
        """Send JSON, or bytes as they are, by a client of its own, and return the answer."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        head = {"Host": "x", "Content-Type": "application/json", "Content-Length": str(len(data))}
        reply = self.world.send(request_bytes("POST", path, head, data), self.world.hyperliquid)
        assert reply is not None
        return reply.json()

    def info(self, kind: str, **fields: Any) -> Any:
        """Read something from the venue, by a client of its own."""
        return self.post("/info", {"type": kind, **fields})

    def bbo(self, coin: str = "ETH") -> tuple[Decimal, Decimal]:
        """Return best bid and ask."""
        bids, asks = self.info("l2Book", coin=coin)["levels"]
        return Decimal(bids[0]["px"]), Decimal(asks[0]["px"])

    def sent(self) -> list[Any]:
        """Return the requests that reached the venue's exchange endpoint."""
        return [row for row in self.world.requests() if row["venue"] == "hyperliquid" and row["effect"]]

    def signing(self, plan_sha256: str) -> Signing | None:
        """Return what the ledger keeps of a signature."""
        return self.ask_ledger(lambda ledger: ledger.signings.find(plan_sha256))
