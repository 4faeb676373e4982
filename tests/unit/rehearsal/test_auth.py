"""Who may call: the venue's order of checks, and the signature vectors of its documents."""

import pytest

from quantlab.rehearsal.kraken_auth import sign
from tests.unit.rehearsal.driving import World, order, request_bytes

SECRET = "kQH5HW/8p1uGOVjbgWA7FunAmGO8lsSUXNsu3eow76sz84Q18fWxnyRzBHCd3pd5nE9qa99HAZtuZuj6F1huXg=="
VECTORS = [
    (
        "/0/private/AddOrder",
        b"nonce=1616492376594&ordertype=limit&pair=XBTUSD&price=37500&type=buy&volume=1.25",
        "4/dpxb3iT4tp/ZCVEwSnEsLxx0bqyhLpdfOpc6fn7OR8+UClSV5n9E6aSS8MPtnRfp32bAb0nmbRn6H8ndwLUQ==",
    ),
    (
        "/0/private/AddOrder",
        (b'{"nonce":"1616492376594","ordertype":"limit","pair":"XBTUSD","price":"37500","type":"buy","volume":"1.25"}'),
        "r/o+GpKxXjV/mls/r5CKLu5R+yzK5psqvQ4hXxMX1nzdxTBhV+ui82QGgPZMMitpFwCOAdPEZMmXgZxD2chJEg==",
    ),
    (
        "/0/private/Balance",
        b"nonce=1616492376594",
        "1nH4vwR+8FHiYh1QT649xXkGd3JR3x0DWkgv3u9Ed/Qqv6KPtgQpEU4m+Emb/VgpEji3j1XNwI+HCbfXxmrTOg==",
    ),
]


@pytest.mark.parametrize(("path", "body", "signature"), VECTORS)
def test_signature_equals_the_documented_one(path, body, signature):
    """The official vector, and two computed from its definition, come out digit for digit."""
    assert signature == sign(path, "1616492376594", body, SECRET)


@pytest.fixture
def world() -> World:
    """Return an exchange with a standing clock."""
    return World()


def test_path_comes_before_the_key(world):
    """An unknown method is told even to a caller without a key."""
    for path in ("/0/private/Nothing", "/0/public/Nothing", "/elsewhere"):
        reply = world.send(request_bytes("POST", path, {"Host": "x", "Content-Length": "0"}))
        assert reply.json() == {"error": ["EGeneral:Unknown method"]}
        assert reply.status == 200


def test_a_private_call_must_be_posted(world):
    """GET on a private path is no method."""
    reply = world.send(request_bytes("GET", "/0/private/Balance", {"Host": "x"}))
    assert reply.json() == {"error": ["EGeneral:Unknown method"]}


def test_key_comes_before_the_parameters(world):
    """A junk key is told before anything is said about parameters."""
    data = world.private_bytes("QueryOrders", {"cl_ord_id": "x"}, API_Key="junk")
    assert world.send(data).json() == {"error": ["EAPI:Invalid key"]}


def test_signature_is_over_the_raw_bytes(world):
    """Equal parameters in other bytes are another message."""
    data = world.private_bytes("Balance", {"asset": "ZUSD"})
    changed = data.replace(b"asset=ZUSD", b"asset=ZUS%44").replace(b"Content-Length: 36", b"Content-Length: 38")
    assert len(changed) == len(data) + 2
    assert world.send(changed).json() == {"error": ["EAPI:Invalid signature"]}


def test_wrong_secret_is_an_invalid_signature(world):
    """The profile `wrong_secret` has a key that exists and a secret that is not its own."""
    assert world.refusal("Balance", profile="wrong_secret") == "EAPI:Invalid signature"


@pytest.mark.parametrize("nonce", [0, 10**18, 2**64])
def test_nonce_must_rise(world, nonce):
    """A nonce that is not above the last one, or beyond 64 bits, is refused."""
    world.ok("Balance", nonce=10**18)
    assert world.refusal("Balance", nonce=nonce) == "EAPI:Invalid nonce"


def test_nonce_is_spent_before_the_arguments_are_looked_at(world):
    """A refused order has burnt its nonce: the same bytes cannot be tried again."""
    data = world.private_bytes("AddOrder", order(volume="nothing"))
    assert world.send(data).json() == {"error": ["EGeneral:Invalid arguments:volume"]}
    assert world.send(data).json() == {"error": ["EAPI:Invalid nonce"]}


def test_nonces_are_kept_per_key(world):
    """A high nonce of one key does not lock out another."""
    world.ok("Balance", nonce=2**63)
    world.ok("Balance", nonce=5, profile="no_trade")


def test_a_nonce_window_lets_an_older_nonce_in(world):
    """With a window the fence has a gap of that width, and no wider."""
    world.ok("Balance", nonce=10**18, profile="windowed")
    world.ok("Balance", nonce=10**18 - 9 * 10**9, profile="windowed")
    assert world.refusal("Balance", nonce=10**18 - 10**10, profile="windowed") == "EAPI:Invalid nonce"
    assert world.ok("GetApiKeyInfo", profile="windowed")["nonceWindow"] == 10**10


def test_a_scripted_nonce_window_is_applied_and_reported(world):
    """The fault `nonce_window` opens the fence of every key, and the key says so."""
    world.fault("nonce_window", value=1000)
    world.ok("Balance", nonce=10**18)
    world.ok("Balance", nonce=10**18 - 999)
    assert world.ok("GetApiKeyInfo", nonce=10**18 + 1)["nonceWindow"] == 1000


def test_permission_is_checked_after_the_nonce(world):
    """A key without trading may not trade, validate-only included; its nonce is spent all the same."""
    data = world.private_bytes("AddOrder", order(validate="true"), profile="no_trade")
    assert world.send(data).json() == {"error": ["EGeneral:Permission denied"]}
    assert world.send(data).json() == {"error": ["EAPI:Invalid nonce"]}
    assert world.refusal("CancelAll", profile="no_trade") == "EGeneral:Permission denied"


def test_key_tells_what_it_may(world):
    """GetApiKeyInfo names account, window and permissions, and needs no permission itself."""
    trader, able = world.ok("GetApiKeyInfo"), world.ok("GetApiKeyInfo", profile="can_withdraw")
    assert trader["iban"] == able["iban"]
    assert trader["iban"] != world.ok("GetApiKeyInfo", profile="newcomer")["iban"]
    assert "withdraw-funds" in able["permissions"]
    assert "withdraw-funds" not in trader["permissions"]
    assert "modify-trades" not in world.ok("GetApiKeyInfo", profile="no_trade")["permissions"]
    assert trader["nonceWindow"] == 0
    assert trader["apiKey"].startswith("REHEARSAL")


def test_json_bodies_are_signed_and_read_too(world):
    """A JSON body works like a form, its numbers without a detour over binary fractions."""
    answer = world.ok("AddOrder", order(price=1900.1, volume=0.25, validate=True), as_json=True)
    assert answer["descr"]["order"] == "buy 0.25000000 ETHUSD @ limit 1900.10"


@pytest.mark.parametrize("body", [b"[1]", b"{", b"\xff"])
def test_a_body_that_cannot_be_read_is_a_bad_request(world, body):
    """What is no JSON object is refused, not guessed."""
    fields = {"Host": "x", "Content-Type": "application/json", "Content-Length": str(len(body))}
    reply = world.send(request_bytes("POST", "/0/private/Balance", fields, body))
    assert reply.json() == {"error": ["EAPI:Bad request"]}


def test_a_form_that_is_not_text_is_a_bad_request(world):
    """A form must be UTF-8."""
    reply = world.send(request_bytes("POST", "/0/private/Balance", {"Host": "x", "Content-Length": "1"}, b"\xff"))
    assert reply.json() == {"error": ["EAPI:Bad request"]}
