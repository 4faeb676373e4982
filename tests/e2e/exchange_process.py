"""The rehearsal exchange as a process of its own, for tests over real sockets."""

import base64
import hashlib
import hmac
import http.client
import itertools
import json
import os
import signal
import ssl
import subprocess
import sys
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlencode, urlsplit

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 20
_NONCES = itertools.count(10**18)


class ExchangeProcess:
    """One server on a folder; `line` is what it printed."""

    def __init__(self, folder: Path, *options: str, env: dict[str, str] | None = None) -> None:
        self.folder = folder
        self.process = subprocess.Popen(
            [sys.executable, "-m", "quantlab.rehearsal", "--state", str(folder), *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(ROOT / "src"), **(env or {})},
        )
        assert self.process.stdout is not None
        text = self.process.stdout.readline()
        self.line: dict[str, Any] = json.loads(text) if text else {}
        self.env: dict[str, str] = self.line.get("env", {})

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self, number: int = signal.SIGTERM) -> tuple[int, bytes, bytes]:
        """End the server; return its exit code and what it printed since."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        out, err = self.process.communicate(timeout=SECONDS)
        return self.process.returncode, out, err

    def connect(self, url: str) -> http.client.HTTPConnection:
        """Open a connection to one of the addresses."""
        parts = urlsplit(url)
        assert parts.hostname is not None
        if parts.scheme == "https":
            context = ssl.create_default_context(cafile=self.env["QUANTLAB_REHEARSAL_CA"])
            return http.client.HTTPSConnection(parts.hostname, parts.port, timeout=SECONDS, context=context)
        return http.client.HTTPConnection(parts.hostname, parts.port, timeout=SECONDS)

    def get(self, url: str, method: str = "GET", body: Any = None) -> Any:
        """Call an address and return its JSON."""
        connection = self.connect(url)
        parts = urlsplit(url)
        data = None if body is None else json.dumps(body)
        connection.request(method, parts.path + ("?" + parts.query if parts.query else ""), data)
        answer = json.loads(connection.getresponse().read())
        connection.close()
        return answer

    def control(self, method: str, target: str, body: Any = None) -> Any:
        """Call the control interface."""
        return self.get(self.line["control_url"] + target, method, body)

    def fault(self, name: str, path: str, **more: Any) -> None:
        """Arm a Kraken fault."""
        answer = self.control("POST", "/faults", {"venue": "kraken", "path": path, "fault": name, **more})
        assert "error" not in answer, answer

    def signed(self, endpoint: str, params: dict[str, Any]) -> tuple[str, bytes, dict[str, str]]:
        """Build path, body and headers of a private call."""
        path, nonce = f"/0/private/{endpoint}", str(next(_NONCES))
        body = urlencode({"nonce": nonce, **params}).encode()
        digest = hashlib.sha256(nonce.encode() + body).digest()
        secret = base64.b64decode(self.env["KRAKEN_API_SECRET"])
        mac = hmac.new(secret, path.encode() + digest, hashlib.sha512)
        return path, body, {
            "API-Key": self.env["KRAKEN_API_KEY"],
            "API-Sign": base64.b64encode(mac.digest()).decode(),
            "Content-Type": "application/x-www-form-urlencoded",
        }  # fmt: skip

    def private(self, endpoint: str, **params: Any) -> Any:
        """Make a private call and return its JSON; every network fault is raised."""
        path, body, headers = self.signed(endpoint, params)
        connection = self.connect(self.line["kraken_url"])
        try:
            connection.request("POST", path, body, headers)
            return json.loads(connection.getresponse().read())
        finally:
            connection.close()

    def orders(self, client_order_id: str | None = None) -> list[Any]:
        """Return the orders that were accepted over the wire, all or those of one client order id."""
        found: list[Any] = self.control("GET", "/orders")["orders"]
        return [one for one in found if client_order_id in (None, one["client_order_id"])]
