"""The rehearsal exchange as a process: start, stop, restart, and faults down to the socket."""

import http.client
import json
import os
import shutil
import signal
import socket
import ssl
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from quantlab.rehearsal.server import default_state, read_serve_file
from tests.e2e.exchange_process import ROOT, SECONDS, ExchangeProcess
from tests.unit.rehearsal.hyperliquid_driving import CLOID, limit, order_action, sign

ORDER = {"ordertype": "limit", "type": "buy", "volume": "0.25", "pair": "ETHUSD", "price": "1900"}


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """Start one exchange for the tests that only need one."""
    with ExchangeProcess(tmp_path_factory.mktemp("exchange") / "state") as exchange:
        yield exchange


@pytest.fixture
def exchange(shared):
    """Return a running exchange without faults and with full rate budgets."""
    shared.control("DELETE", "/faults")
    shared.control("POST", "/clock", {"advance_seconds": 60})
    return shared


# ----------------------------------------------------------------- start and stop


def test_line_and_file_say_the_same(exchange):
    """The printed line is the content of serve.json, readable by its owner alone."""
    path = exchange.folder / "serve.json"
    assert json.loads(path.read_text()) == exchange.line
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(exchange.folder.stat().st_mode) == 0o700
    assert set(exchange.line) == {"kraken_url", "hyperliquid_url", "control_url", "env"}
    assert set(exchange.env) == {
        "QUANTLAB_ENVIRONMENT", "QUANTLAB_KRAKEN_URL", "QUANTLAB_HYPERLIQUID_URL", "KRAKEN_API_KEY",
        "KRAKEN_API_SECRET", "HYPERLIQUID_PRIVATE_KEY", "HYPERLIQUID_ACCOUNT",
        "HYPERLIQUID_SIGNER_ID", "QUANTLAB_STATE_DIR",
    }  # fmt: skip
    assert exchange.env["QUANTLAB_ENVIRONMENT"] == "rehearsal"
    assert exchange.env["QUANTLAB_STATE_DIR"] == str(exchange.folder / "operator")
    assert exchange.control("GET", "/profiles")["trader"] == exchange.env


def test_all_faces_answer(exchange):
    """Kraken, Hyperliquid's clock and the control interface answer on their own ports."""
    assert exchange.get(exchange.line["kraken_url"] + "/0/public/Time")["error"] == []
    for name in ("kraken_url", "hyperliquid_url"):
        assert exchange.get(exchange.line[name] + "/rehearsal/clock")["now_ns"].isdigit()
    assert exchange.control("GET", "/faults") == {"faults": []}


def test_running_server_is_found(exchange, tmp_path):
    """read_serve_file finds a server that answers, and none where none does."""
    found = read_serve_file(exchange.folder)
    assert found is not None
    assert found.env == exchange.env
    assert read_serve_file(tmp_path) is None


def test_default_folder_follows_the_users_state_folder(monkeypatch):
    """Without a folder the exchange keeps its own beside the user's state."""
    monkeypatch.setenv("XDG_STATE_HOME", "/some/where")
    assert default_state() == Path("/some/where/quantlab-rehearsal")
    monkeypatch.setenv("XDG_STATE_HOME", "relative")
    assert default_state() == Path.home() / ".local/state/quantlab-rehearsal"


def test_second_server_is_busy(exchange):
    """A second server on the folder ends with 6, prints nothing, and disturbs nothing."""
    second = ExchangeProcess(exchange.folder)
    code, out, err = second.stop()
    assert (code, out, second.line) == (6, b"", {})
    assert b"another server holds" in err
    assert exchange.private("Balance")["error"] == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_ends_it_cleanly(tmp_path, number):
    """A signal ends it with 0 and nothing more on stdout, a client's open connection notwithstanding."""
    exchange = ExchangeProcess(tmp_path / "state")
    connection = exchange.connect(exchange.line["kraken_url"])
    connection.request("GET", "/0/public/Time")
    connection.getresponse().read()
    assert exchange.stop(number)[:2] == (0, b"")
    assert read_serve_file(tmp_path / "state") is None
    connection.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_state_survives_a_restart(tmp_path, number):
    """Orders, balances, nonces, clock and log are there again, also after SIGKILL."""
    folder = tmp_path / "state"
    first = ExchangeProcess(folder, "--seed", "5")
    assert first.private("AddOrder", **ORDER, cl_ord_id="survivor")["error"] == []
    first.control("POST", "/clock", {"advance_seconds": 100_000})
    path, body, headers = first.signed("AddOrder", ORDER)
    connection = first.connect(first.line["kraken_url"])
    connection.request("POST", path, body, headers)
    assert json.loads(connection.getresponse().read())["error"] == []
    connection.close()
    before = (first.orders(), first.control("GET", "/requests"), first.private("BalanceEx"))
    first.stop(number)
    with ExchangeProcess(folder) as second:
        connection = second.connect(second.line["kraken_url"])
        connection.request("POST", path, body, headers)
        assert json.loads(connection.getresponse().read()) == {"error": ["EAPI:Invalid nonce"]}
        connection.close()
        rows = second.control("GET", "/requests")["requests"]
        assert before[0] == second.orders()
        assert before[1]["requests"] == rows[: len(before[1]["requests"])]
        assert before[2] == second.private("BalanceEx")
        now_ns = int(second.get(second.line["kraken_url"] + "/rehearsal/clock")["now_ns"])
        assert second.env["KRAKEN_API_KEY"] == first.env["KRAKEN_API_KEY"]
        assert now_ns // 10**9 - (folder / "serve.json").stat().st_mtime > 99_000


def test_state_that_cannot_be_read_is_left_alone(tmp_path):
    """A broken state file ends the start with 1 and stays as it is."""
    folder = tmp_path / "state"
    folder.mkdir(mode=0o700)
    (folder / "state.json").write_text("{")
    code, out, err = ExchangeProcess(folder).stop()
    assert (code, out) == (1, b"")
    assert b"state.json" in err
    assert (folder / "state.json").read_text() == "{"


def test_given_ports_are_used_and_taken_ports_are_refused(tmp_path):
    """A port that is given is used; one that is taken ends the start with 1 and a sentence."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, out, err = ExchangeProcess(tmp_path / "a", "--kraken-port", str(port)).stop()
    assert (code, out) == (1, b"")
    assert f"port {port}".encode() in err
    with ExchangeProcess(tmp_path / "b", "--kraken-port", str(port)) as exchange:
        assert exchange.line["kraken_url"] == f"http://127.0.0.1:{port}"


@pytest.mark.parametrize(
    ("text", "word"),
    [("{", b"not JSON"), ("{}", b"list"), ('[{"venue": "kraken", "fault": "x"}]', b"unknown fault"),
     (None, b"cannot be read")],
)  # fmt: skip
def test_faults_file_that_makes_no_sense(tmp_path, text, word):
    """A faults file that cannot be understood ends the start with 2; nothing is made."""
    path = tmp_path / "faults.json"
    if text is not None:
        path.write_text(text)
    code, out, err = ExchangeProcess(tmp_path / "state", "--faults", str(path)).stop()
    assert (code, out) == (2, b"")
    assert word in err
    assert not (tmp_path / "state").exists()


def test_faults_file_is_armed_from_the_start(tmp_path):
    """Faults of the file meet the first requests."""
    path = tmp_path / "faults.json"
    fault = {"venue": "kraken", "path": "AddOrder", "fault": "api_error", "value": "EService:Busy"}
    path.write_text(json.dumps([fault]))
    with ExchangeProcess(tmp_path / "state", "--faults", str(path)) as exchange:
        assert exchange.private("AddOrder", **ORDER) == {"error": ["EService:Busy"]}
        assert exchange.private("AddOrder", **ORDER)["error"] == []


@pytest.mark.parametrize("options", [["x"], ["--colour", "red"], ["--seed"], ["--seed", "x"], ["--tls", "yes"]])
def test_options_that_make_no_sense(options):
    """A wrong option ends with 2 and the usage on stderr."""
    done = subprocess.run(
        [sys.executable, "-m", "quantlab.rehearsal", *options],
        capture_output=True, timeout=SECONDS, check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr.startswith(b"usage:")


# -------------------------------------------------------------- faults on sockets


def test_refused_connect_is_refused_by_the_kernel(exchange):
    """While the fault is armed no connection comes about; cleared, the same port answers again."""
    exchange.fault("refuse_connect", "*")
    with pytest.raises(ConnectionRefusedError):
        exchange.private("AddOrder", **ORDER)
    exchange.control("DELETE", "/faults")
    assert exchange.private("Balance")["error"] == []


def test_drop_before_read_is_a_reset(exchange):
    """The client's connection is reset and no order exists."""
    before = exchange.orders()
    exchange.fault("drop_before_read", "AddOrder")
    with pytest.raises(ConnectionResetError):
        exchange.private("AddOrder", **ORDER)
    assert before == exchange.orders()


def test_drop_after_accept_is_an_end_without_answer(exchange):
    """The client gets no answer; the order exists."""
    before = exchange.orders()
    exchange.fault("drop_after_accept", "AddOrder")
    with pytest.raises(http.client.RemoteDisconnected):
        exchange.private("AddOrder", **ORDER)
    assert len(exchange.orders()) == len(before) + 1


def test_truncated_answer_is_incomplete(exchange):
    """The client sees that bytes are missing."""
    exchange.fault("truncate", "AddOrder")
    with pytest.raises(http.client.IncompleteRead):
        exchange.private("AddOrder", **ORDER)


def test_delay_is_waited_for(exchange):
    """A delayed answer comes, and other connections are served meanwhile."""
    exchange.fault("delay", "AddOrder", value=0.3)
    answers = []
    slow = threading.Thread(target=lambda: answers.append(exchange.private("AddOrder", **ORDER)))
    slow.start()
    quick = exchange.get(exchange.line["kraken_url"] + "/0/public/Time")
    slow.join(SECONDS)
    assert quick["error"] == []
    assert answers[0]["error"] == []


def test_late_order_comes_with_the_clock(exchange):
    """Turning the clock by hand brings a held order."""
    before = len(exchange.orders())
    exchange.fault("late", "AddOrder", value=1000)
    with pytest.raises(http.client.RemoteDisconnected):
        exchange.private("AddOrder", **ORDER)
    assert len(exchange.orders()) == before
    exchange.control("POST", "/clock", {"advance_seconds": 1000})
    assert len(exchange.orders()) == before + 1


def test_stream_over_a_socket(exchange):
    """A real WebSocket client gets greeting, snapshot and updates, and notices being cut off."""
    token = exchange.private("GetWebSocketsToken")["result"]["token"]
    url = exchange.line["kraken_url"].replace("http", "ws") + "/v2"
    with connect(url) as stream:
        assert json.loads(stream.recv(SECONDS))["channel"] == "status"
        params = {"channel": "executions", "token": token, "snap_orders": False}
        stream.send(json.dumps({"method": "subscribe", "params": params}))
        assert json.loads(stream.recv(SECONDS))["success"] is True
        assert json.loads(stream.recv(SECONDS))["sequence"] == 1
        exchange.private("AddOrder", **ORDER)
        kinds = []
        while "new" not in kinds:
            frame = json.loads(stream.recv(SECONDS))
            kinds += [item["exec_type"] for item in frame.get("data", [])]
        assert kinds == ["pending_new", "new"]
        exchange.fault("stream_cut", "*")
        with pytest.raises(ConnectionClosed):
            all(stream.recv(SECONDS) for _ in range(100))


def post(exchange, path, body):
    """Send one request to the Hyperliquid face; return status and parsed body."""
    connection = exchange.connect(exchange.line["hyperliquid_url"])
    try:
        connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


def signed(exchange, action, nonce):
    """Sign an action as the agent of the environment that the server has printed."""
    return {
        "action": action, "nonce": nonce,
        "signature": sign(exchange.env["HYPERLIQUID_PRIVATE_KEY"], action, nonce),
    }  # fmt: skip


def venue_ms(exchange):
    """Return the Hyperliquid face's clock."""
    return post(exchange, "/info", {"type": "exchangeStatus"})[1]["time"]


def test_hyperliquid_order_survives_a_kill(tmp_path):
    """An order placed by the agent is known by its cloid after SIGKILL, and its bytes do not run again."""
    folder = tmp_path / "state"
    first = ExchangeProcess(folder)
    body = signed(first, order_action(limit("2100", "0.25", "Ioc", c=CLOID)), venue_ms(first))
    status, answer = post(first, "/exchange", body)
    assert (status, answer["response"]["data"]["statuses"][0]["filled"]["totalSz"]) == (200, "0.25")
    first.stop(signal.SIGKILL)
    with ExchangeProcess(folder) as second:
        asked = {"type": "orderStatus", "user": second.env["HYPERLIQUID_ACCOUNT"], "oid": CLOID}
        assert post(second, "/info", asked)[1]["order"]["status"] == "filled"
        assert "duplicate nonce" in post(second, "/exchange", body)[1]["response"]
        assert len(second.orders(CLOID)) == 1


def test_hyperliquid_faults_reach_the_socket(exchange):
    """A reset before reading, an end without an answer after accepting, on this venue's port alone."""
    fault = {"venue": "hyperliquid", "path": "/exchange", "type": "order"}
    for name, error, more in (
        ("drop_before_read", ConnectionResetError, 0), ("drop_after_accept", http.client.RemoteDisconnected, 1),
    ):  # fmt: skip
        before = len(exchange.orders())
        exchange.control("POST", "/faults", {**fault, "fault": name})
        body = signed(exchange, order_action(limit()), venue_ms(exchange))
        with pytest.raises(error):
            post(exchange, "/exchange", body)
        assert before + more == len(exchange.orders())
    exchange.control("POST", "/faults", {"venue": "hyperliquid", "fault": "refuse_connect"})
    with pytest.raises(ConnectionRefusedError):
        venue_ms(exchange)
    assert exchange.private("Balance")["error"] == []


def test_hyperliquid_stream_over_a_socket(exchange):
    """A real WebSocket client gets acknowledgement and fill, posts an action, and notices being cut off."""
    url = exchange.line["hyperliquid_url"].replace("http", "ws") + "/ws"
    with connect(url) as stream:
        user = exchange.env["HYPERLIQUID_ACCOUNT"]
        subscription = {"type": "orderUpdates", "user": user}
        stream.send(json.dumps({"method": "subscribe", "subscription": subscription}))
        assert json.loads(stream.recv(SECONDS))["data"]["subscription"] == subscription
        payload = signed(exchange, order_action(limit("2100", "0.01", "Ioc")), venue_ms(exchange))
        request = {"type": "action", "payload": payload}
        stream.send(json.dumps({"method": "post", "id": 5, "request": request}))
        frames = {f["channel"]: f["data"] for f in (json.loads(stream.recv(SECONDS)) for _ in range(2))}
        assert ["open", "filled"] == [row["status"] for row in frames["orderUpdates"]]
        assert frames["post"]["id"] == 5
        exchange.control("POST", "/faults", {"venue": "hyperliquid", "path": "*", "fault": "stream_cut"})
        with pytest.raises(ConnectionClosed):
            stream.recv(SECONDS)


def test_nonsense_on_the_wire_harms_nobody(exchange):
    """Bytes that are no HTTP are answered with 400, and the next client is served."""
    port = int(exchange.line["kraken_url"].rsplit(":", 1)[1])
    with socket.create_connection(("127.0.0.1", port), timeout=SECONDS) as sock:
        sock.sendall(b"\x16\x03\x01\x00 what\r\n\r\n")
        assert sock.recv(100).startswith(b"HTTP/1.1 400 ")
    assert exchange.private("Balance")["error"] == []


# -------------------------------------------------------------------------- TLS


@pytest.mark.skipif(shutil.which("openssl") is None, reason="the openssl command is not installed")
def test_tls_under_a_throwaway_authority(tmp_path):
    """With --tls both venues speak https; who does not trust the authority is turned away."""
    with ExchangeProcess(tmp_path / "state", "--tls") as exchange:
        assert exchange.line["kraken_url"].startswith("https://")
        assert exchange.line["hyperliquid_url"].startswith("https://")
        assert exchange.private("AddOrder", **ORDER)["error"] == []
        url = exchange.line["kraken_url"]
        port = int(url.rsplit(":", 1)[1])
        stranger = http.client.HTTPSConnection("127.0.0.1", port, timeout=SECONDS)
        with pytest.raises(ssl.SSLCertVerificationError):
            stranger.request("GET", "/0/public/Time")
        exchange.fault("drop_after_accept", "AddOrder")
        with pytest.raises((http.client.RemoteDisconnected, ssl.SSLEOFError)):
            exchange.private("AddOrder", **ORDER)
        assert len(exchange.orders()) == 2


def test_tls_without_openssl_is_refused(tmp_path):
    """Where the openssl command is missing, --tls ends with 1 and says so."""
    code, out, err = ExchangeProcess(tmp_path / "state", "--tls", env={"PATH": str(tmp_path)}).stop()
    assert (code, out) == (1, b"")
    assert b"openssl" in err
