"""The chain: every change to a record is found, and what is found is named by file."""

import msgspec
import pytest

from quantlab.evidence.chain import backward_clock, parse_record, read_chain, shown, view_findings
from quantlab.evidence.envelope import MAXIMUM_RECORD_BYTES, record_bytes, record_file_name
from quantlab.evidence.records import Approval, Bundle, Incident, Validation
from quantlab.kernel import canonical
from tests.unit.evidence.built import BODIES, SESSION_ID, chain_of, envelope, files_of

VALIDATION = BODIES["quantlab.validation/1"]
APPROVAL = BODIES["quantlab.approval/1"]
BUNDLE = BODIES["quantlab.pre_submit_bundle/1"]
INCIDENT = BODIES["quantlab.incident/1"]
READINESS = BODIES["quantlab.readiness/1"]


def codes(files, expected_session_id=SESSION_ID):
    """Return code and file of every finding."""
    chain = read_chain(files, expected_session_id=expected_session_id)
    return [(finding.code, finding.file) for finding in chain.findings]


def test_a_whole_chain_verifies():
    """Records that follow each other verify, in whatever order the folder lists them, and can be asked for."""
    files = files_of(VALIDATION, APPROVAL, BUNDLE, INCIDENT)
    chain = read_chain(files[::-1], expected_session_id=None)
    assert chain.verifies
    assert [name for name, _ in files] == [record.file_name for record in chain.records]
    assert (4, canonical.sha256_hex(files[3][1])) == (chain.head_sequence, chain.head_sha256)
    assert APPROVAL == chain.newest(Approval).body
    assert chain.newest(type(READINESS)) is None
    assert (chain.records[0],) == chain.all(Validation) == chain.named("validation")
    assert () == chain.named("nothing")


def test_an_empty_chain_begins_with_zeros():
    """Without a record the next one is the first."""
    chain = read_chain([], expected_session_id=None)
    assert (True, 0, canonical.ZERO_SHA256) == (chain.verifies, chain.head_sequence, chain.head_sha256)


def test_every_one_byte_change_is_found():
    """Any byte of any record but the newest, changed to any near value, leaves a finding."""
    files = files_of(APPROVAL, BUNDLE, INCIDENT)
    for position, (name, raw) in enumerate(files[:-1]):
        for offset in range(len(raw)):
            changed = raw[:offset] + bytes([raw[offset] ^ 1]) + raw[offset + 1 :]
            assert codes([*files[:position], (name, changed), *files[position + 1 :]]), (name, offset)


@pytest.mark.parametrize("removed", [0, 1])
def test_a_removed_record_is_found(removed):
    """A record missing before another one breaks number and digest."""
    files = files_of(APPROVAL, BUNDLE, INCIDENT)
    left = files[:removed] + files[removed + 1 :]
    assert [("sequence_broken", left[removed][0]), ("chain_broken", left[removed][0])] == codes(left)[:2]


def test_an_exchanged_pair_is_found():
    """Two records under each other's names are out of order."""
    (first, one), (second, two) = files_of(APPROVAL, BUNDLE)
    assert {"sequence_broken", "chain_broken"} == {code for code, _ in codes([(first, two), (second, one)])}


def test_a_record_of_another_session_is_found():
    """A record that belongs to another session does not verify in this one."""
    files = files_of(APPROVAL, session_id="20260102T030405Z-other-0123456789ab")
    assert [("session_mismatch", "0001-approval.json")] == codes(files)
    assert [] == codes(files, expected_session_id=None)


def respelt(raw: bytes, old: bytes, new: bytes) -> list[tuple[str, bytes]]:
    """Return one record file with its first occurrence of ``old`` replaced."""
    assert old in raw
    return [("0001-approval.json", raw.replace(old, new, 1))]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"actor":"marce"', b'"actor":"x","actor":"marce"'),
        (b'"actor":"marce"', b'"actor": "marce"'),
        (b'"actor":"marce"', b'"actor":"\\u006darce"'),
        (b'"sequence":1', b'"added":0.5,"sequence":1'),
        (b'"sequence":1', b'"added":9007199254740993,"sequence":1'),
    ],
)
def test_another_spelling_of_the_same_values_is_found(old, new):
    """Duplicate keys, blanks, escapes, floats and huge numbers are not the canonical bytes."""
    raw = record_bytes(envelope("quantlab.approval/1"), APPROVAL)
    assert [("record_not_canonical", "0001-approval.json")] == codes(respelt(raw, old, new))


def test_keys_out_of_order_or_a_trailing_newline_are_found():
    """The order of keys and the last byte are part of the canonical bytes."""
    raw = record_bytes(envelope("quantlab.approval/1"), APPROVAL)
    turned = msgspec.json.encode(dict(reversed(msgspec.json.decode(raw).items())))
    for other in (raw + b"\n", b" " + raw, turned):
        assert [("record_not_canonical", "0001-approval.json")] == codes([("0001-approval.json", other)])


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{}",
        b"[]",
        b"null",
        b"{",
        b"\xef\xbb\xbf{}",
        b'{"a":"\xff"}',
        b"\x00",
        b"[" * 100_000,
        b'{"a":' * 3000 + b"1" + b"}" * 3000,
        b"1" * 100_000,
        b'{"sequence":NaN}',
        record_bytes(envelope("quantlab.approval/1"), APPROVAL).replace(b'"sequence":1', b'"sequence":1.0'),
    ],
)
def test_what_is_no_record_is_unreadable(raw):
    """Torn, foreign, deeply nested or ill-encoded bytes are a finding, never a crash; the next one still follows."""
    chain = read_chain([("0001-approval.json", raw)], expected_session_id=None)
    assert ["record_unreadable"] == [finding.code for finding in chain.findings]
    assert (1, canonical.sha256_hex(raw)) == (chain.head_sequence, chain.head_sha256)


@pytest.mark.parametrize("depth", range(700, 1000, 5))
def test_no_depth_of_nesting_crashes(depth):
    """An added key nested just below what the decoder bears is a finding, whatever the depth."""
    raw = record_bytes(envelope("quantlab.approval/1"), APPROVAL)
    deep = b'"zzz":' + b"[" * depth + b"]" * depth + b"}"
    chain = read_chain([("0001-approval.json", raw[:-1] + b"," + deep)], expected_session_id=None)
    assert {finding.code for finding in chain.findings} <= {
        "record_unreadable",
        "record_not_canonical",
        "record_invalid",
    }


def test_a_record_too_large_is_not_decoded():
    """More bytes than any record has are a finding."""
    raw = b" " * (MAXIMUM_RECORD_BYTES + 1)
    assert [("record_too_large", "0001-approval.json")] == codes([("0001-approval.json", raw)])


def test_a_sequence_under_another_number_is_found():
    """A record renamed to another number is found even where it is the only one."""
    raw = record_bytes(envelope("quantlab.approval/1", sequence=2), APPROVAL)
    assert [("sequence_broken", "0001-approval.json"), ("sequence_broken", "0002-approval.json")] == codes(
        [("0001-approval.json", raw)]
    )


def test_an_unknown_schema_is_found():
    """A record of a version that this reader does not know is said, not guessed at."""
    raw = record_bytes(envelope("quantlab.approval/2"), APPROVAL)
    assert [("schema_unknown", "0001-approval.json")] == codes([("0001-approval.json", raw)])


def test_a_body_of_another_type_is_found():
    """A body that lacks what its schema needs is invalid, its message free of control signs."""
    raw = record_bytes(envelope("quantlab.pre_submit_bundle/1"), APPROVAL)
    chain = read_chain([("0001-bundle.json", raw)], expected_session_id=None)
    assert [("record_invalid", "0001-bundle.json")] == [(one.code, one.file) for one in chain.findings]
    assert "Object missing required field `approval_sha256`" == chain.findings[0].message


@pytest.mark.parametrize(
    "at",
    ["", "yesterday", "2026-01-02T03:04:05Z", "2026-13-02T03:04:05.000000Z", "2026-01-02T03:04:05.678901Z\n"],
)
def test_a_time_of_no_form_is_found(at):
    """A record whose time cannot be read is a finding, and no later command stumbles over it."""
    raw = record_bytes(envelope("quantlab.approval/1", recorded_at=at), APPROVAL)
    assert [("record_invalid", "0001-approval.json")] == codes([("0001-approval.json", raw)])


@pytest.mark.parametrize(
    "name",
    [
        "notes.txt",
        ".DS_Store",
        "0001-approval.json~",
        "1-approval.json",
        "0001-Approval.json",
        "00001-a.json",
        "z\udcff",
    ],
)
def test_a_foreign_file_is_found_and_takes_no_place(name):
    """A foreign file is a finding, but the records beside it keep their places and the next one its number."""
    files = files_of(APPROVAL, BUNDLE)
    chain = read_chain([*files, (name, b"x")], expected_session_id=SESSION_ID)
    assert [("foreign_file", shown(name))] == [(one.code, one.file) for one in chain.findings]
    assert (2, canonical.sha256_hex(files[1][1])) == (chain.head_sequence, chain.head_sha256)


def test_names_are_shown_so_that_they_can_be_printed():
    """Bytes that are no text, and signs that would steer a terminal, are spelled out."""
    assert "a\\udcff\\x1b[31m\\n é" == shown("a\udcff\x1b[31m\n é")
    shown("\udcff").encode()


def test_two_plans_in_one_session_are_found():
    """Records that cite several plans were put together from several sessions."""
    other = msgspec.structs.replace(BUNDLE, plan_sha256="0" * 64)
    assert [("plan_mismatch", "0002-pre_submit_bundle.json")] == codes(files_of(APPROVAL, other))


def test_two_environments_in_one_session_are_found():
    """Practice and live never stand in one chain; what was written while none was set mixes with any."""
    first = files_of(APPROVAL)
    digest = canonical.sha256_hex(first[0][1])
    for environment, expected in (("live", [("environment_mixed", "0002-incident.json")]), ("unset", [])):
        head = envelope("quantlab.incident/1", sequence=2, previous_sha256=digest, environment=environment)
        second = (record_file_name(2, "incident"), record_bytes(head, INCIDENT))
        assert expected == codes([*first, second])


def test_views():
    """A view equals one of the records of its name, or somebody changed it; a missing one is no finding."""
    later = msgspec.structs.replace(APPROVAL, note="again")
    chain = chain_of(APPROVAL, later)
    old, new = (record.raw for record in chain.records)
    assert () == view_findings({"approval": old}, chain) == view_findings({"approval": new}, chain)
    assert () == view_findings({}, chain)
    assert [("view_tampered", "approval.json")] == [
        (one.code, one.file) for one in view_findings({"approval": old[:-1]}, chain)
    ]


def test_every_one_byte_change_of_a_view_is_found():
    """Any byte of a view that differs from all records of its name is tampering."""
    chain = chain_of(APPROVAL, BUNDLE)
    raw = chain.records[0].raw
    for offset in range(len(raw)):
        changed = raw[:offset] + bytes([raw[offset] ^ 1]) + raw[offset + 1 :]
        assert 1 == len(view_findings({"approval": changed}, chain))


def test_a_clock_that_went_backward_is_reported_not_refused():
    """A record dated before its predecessor still verifies and is named."""
    first = files_of(APPROVAL)
    head = envelope(
        "quantlab.incident/1",
        sequence=2,
        previous_sha256=canonical.sha256_hex(first[0][1]),
        recorded_at="2025-12-31T00:00:00.000000Z",
    )
    chain = read_chain([*first, ("0002-incident.json", record_bytes(head, INCIDENT))], expected_session_id=None)
    assert chain.verifies
    assert ("0002-incident.json",) == backward_clock(chain)
    assert () == backward_clock(chain_of(APPROVAL, BUNDLE))


def test_records_behind_a_break_are_still_read():
    """One damaged record does not hide the others: reads still need them."""
    files = files_of(APPROVAL, BUNDLE, INCIDENT)
    chain = read_chain([files[0], (files[1][0], b"{"), files[2]], expected_session_id=SESSION_ID)
    assert [Approval, Incident] == [type(record.body) for record in chain.records]
    assert chain.newest(Bundle) is None
    assert "record_unreadable" in {one.code for one in chain.findings}


def test_a_record_apart_from_its_chain():
    """A copy of a record is read by its own number, whatever it is called and wherever it stood."""
    files = files_of(VALIDATION, APPROVAL, BUNDLE)
    for number, (name, raw) in enumerate(files, start=1):
        record = parse_record(raw, name=name[5:].removesuffix(".json"))
        assert (raw, name, number) == (record.raw, record.file_name, record.envelope.sequence)
        assert canonical.sha256_hex(raw) == record.sha256
    assert [VALIDATION, APPROVAL, BUNDLE] == [parse_record(raw, name="copy").body for _, raw in files]


RAW = record_bytes(envelope("quantlab.approval/1"), APPROVAL)
NUMBER = b'"sequence":1'
NO_RECORDS = {
    "nothing": b"",
    "a list": b"[]",
    "no json": b"not json",
    "no text": b"\xff\xfe",
    "no text within": b'{"sequence":1,"a":"\xff"}',
    "nested without end": b"[" * 100_000,
    "no number": b"{}",
    "cut": RAW[:-1],
    "a further line": RAW + b"\n",
    "too large": RAW + b" " * MAXIMUM_RECORD_BYTES,
    "number zero": RAW.replace(NUMBER, b'"sequence":0'),
    "number below zero": RAW.replace(NUMBER, b'"sequence":-1'),
    "number beyond the last": RAW.replace(NUMBER, b'"sequence":10000'),
    "number as text": RAW.replace(NUMBER, b'"sequence":"1"'),
    "a blank": RAW.replace(NUMBER, b'"sequence": 1'),
    "unknown version": RAW.replace(b"approval/1", b"approval/2"),
    "wrong type": RAW.replace(b'"reviewer":"marce"', b'"reviewer":7'),
}


@pytest.mark.parametrize("name", NO_RECORDS)
def test_what_is_no_record_is_none(name):
    """Bytes that are not exactly a record as it is written are none: no key moved, no blank, no other number."""
    assert NO_RECORDS[name] != RAW
    assert parse_record(NO_RECORDS[name], name="approval") is None
