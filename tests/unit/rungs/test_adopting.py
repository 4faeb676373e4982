"""From an artifact to its one session: what is read as a signed order, and which session takes it."""

import errno
import json
import shutil
from pathlib import Path

import pytest

from quantlab.evidence.envelope import MAXIMUM_RECORD_BYTES
from quantlab.evidence.records import AdoptedAction
from quantlab.kernel.canonical import sha256_hex
from quantlab.kernel.errors import QuantLabFault
from quantlab.rungs.adopting import SignedSource, adopted, read_signed
from tests.support.breaking import QuickDisk
from tests.support.virtual_hyperliquid import ARTIFACT, HyperliquidBench


@pytest.fixture
def bench(tmp_path: Path) -> HyperliquidBench:
    """Return a bench on a quick disk."""
    bench = HyperliquidBench(tmp_path)
    bench.disk = QuickDisk()
    return bench


def read(bench: HyperliquidBench, path: Path) -> SignedSource:
    """Read a signed order as a new process would."""
    desk = bench.desk()
    try:
        return read_signed(desk, path)
    finally:
        desk.ledger.close()


def fault_of(bench: HyperliquidBench, path: Path) -> tuple[str, str]:
    """Return outcome and code of a path that holds no signed order."""
    with pytest.raises(QuantLabFault) as caught:
        read(bench, path)
    assert "sent" in caught.value.message or caught.value.outcome == "usage"
    return caught.value.outcome, caught.value.code


def adopt(bench: HyperliquidBench, artifact: Path, root: Path) -> Path:
    """Adopt an artifact as a new process would, and return its session's folder."""
    desk = bench.desk()
    try:
        with adopted(desk, read_signed(desk, artifact), root) as writer:
            return writer.session.folder
    finally:
        desk.ledger.close()


def test_what_is_read_is_what_the_ledger_kept(bench: HyperliquidBench) -> None:
    """Text, digest, plan and reservation belong together; nobody was asked."""
    artifact = bench.signed()
    asked = len(bench.world.requests())
    source = read(bench, artifact)
    assert artifact.read_text() == source.text
    assert sha256_hex(artifact.read_bytes()) == source.sha256 == source.signing.artifact_sha256
    assert source.plan_sha256 == source.signing.plan_sha256
    assert source.signed.nonce == source.burn.nonce == source.signing.nonce
    assert json.loads(source.text)["actor"] == source.signed_by
    assert asked == len(bench.world.requests())


def test_an_outdir_means_its_view(bench: HyperliquidBench) -> None:
    """The folder that holds the artifact names it."""
    artifact = bench.signed()
    assert read(bench, artifact).sha256 == read(bench, artifact.parent).sha256


def test_a_session_means_what_it_adopted(bench: HyperliquidBench) -> None:
    """The artifact can be gone: the session holds its exact text."""
    artifact = bench.signed()
    text = artifact.read_text()
    session = adopt(bench, artifact, bench.root)
    shutil.rmtree(artifact.parent)
    assert read(bench, session).text == text


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda path: None, ("usage", "signed_action_missing")),
        (lambda path: path.mkdir(), ("usage", "not_a_session")),
        (lambda path: (path / "records").mkdir(parents=True), ("usage", "signed_action_missing")),
        (lambda path: path.write_bytes(b"\xff\xfe"), ("unverified", "signed_action_changed")),
        (lambda path: path.write_bytes(b"{}"), ("unverified", "signed_action_changed")),
        (lambda path: path.write_bytes(b"[" * 9_999), ("unverified", "signed_action_changed")),
        (lambda path: path.write_bytes(b" " * (MAXIMUM_RECORD_BYTES + 1)), ("unverified", "signed_action_changed")),
    ],
)
def test_what_holds_no_signed_order_is_told_apart(bench: HyperliquidBench, make, expected: tuple[str, str]) -> None:
    """Nothing there, a folder of something else, no text, no record, far too large: refused, nothing written."""
    path = bench.folder / "given"
    make(path)
    assert expected == fault_of(bench, path)
    assert not bench.root.exists()


def test_a_file_that_can_not_be_read_is_a_usage_fault(bench: HyperliquidBench) -> None:
    """The system refuses to read it: told as that, not as a changed artifact."""
    artifact = bench.signed()

    class Unreadable(QuickDisk):
        def read(self, path: Path, *, at_most: int) -> bytes:
            if path == artifact:
                raise OSError(errno.EIO, "Input/output error")
            return super().read(path, at_most=at_most)

    bench.disk = Unreadable()
    assert fault_of(bench, artifact) == ("usage", "signed_action_unreadable")


def test_a_record_of_another_kind_is_no_signed_order(bench: HyperliquidBench) -> None:
    """A whole, honest record of another rung is refused."""
    result = bench.account_readiness()
    assert fault_of(bench, Path(result.artifacts[0])) == ("unverified", "signed_action_changed")


def test_a_record_under_the_wrong_name_is_no_signed_order(bench: HyperliquidBench) -> None:
    """What the session adopted is not the artifact itself: given as a file, it is refused."""
    session = adopt(bench, bench.signed(), bench.root)
    assert fault_of(bench, session / ARTIFACT) == ("unverified", "signed_action_changed")


def test_a_signature_that_this_ledger_never_kept_is_not_taken(bench: HyperliquidBench) -> None:
    """Killed between artifact and ledger, the digest was never noted: refused."""
    artifact = bench.signed()
    plan_sha256 = read(bench, artifact).plan_sha256
    other = artifact.read_text().replace(plan_sha256, "0" * 64)
    copy = bench.folder / "copy.json"
    copy.write_text(other)
    assert fault_of(bench, copy)[0] == "unverified"


def test_a_session_is_made_under_the_root_with_the_artifact_in_it(bench: HyperliquidBench) -> None:
    """The first record is the artifact's exact text and digest, and the folder is named for the plan's session."""
    artifact = bench.signed()
    source = read(bench, artifact)
    folder = adopt(bench, artifact, bench.root)
    assert bench.root / source.plan.session_id == folder
    [record] = bench.session(folder).chain.records
    assert isinstance(record.body, AdoptedAction)
    assert (source.text, source.sha256) == (record.body.source_text, record.body.source_sha256)
    assert record.body.plan == source.plan
    assert bench.standing(folder).state == "signed"


def test_it_is_adopted_once(bench: HyperliquidBench) -> None:
    """A second adoption of the artifact or a copy, under the same or another root, is the same session."""
    artifact = bench.signed()
    folder = adopt(bench, artifact, bench.root)
    copy = Path(shutil.copy(artifact, bench.folder / "copy.json"))
    assert adopt(bench, copy, bench.root) == folder
    assert adopt(bench, copy, bench.folder / "second-root") == folder
    assert any(str(folder) in line for line in bench.progress)
    assert len(bench.session(folder).chain.records) == 1
    assert not (bench.folder / "second-root").exists()


def test_a_relative_root_is_the_same_place(bench: HyperliquidBench, monkeypatch: pytest.MonkeyPatch) -> None:
    """The binding is by absolute path."""
    monkeypatch.chdir(bench.folder)
    artifact = bench.signed()
    folder = adopt(bench, artifact, Path("outputs/hyperliquid_submits"))
    assert adopt(bench, artifact, bench.root) == folder.absolute()


def test_a_session_whose_evidence_is_gone_is_not_begun_anew(bench: HyperliquidBench) -> None:
    """Removed with its records before anything was sent: another root takes the folder, and finds it shortened."""
    artifact = bench.signed()
    shutil.rmtree(adopt(bench, artifact, bench.root))
    result = bench.submit(artifact, root=bench.folder / "second-root")
    assert result.outcome == "unverified"
    assert result.refusals[0].code == "session_shortened"
    assert bench.sent() == []


def test_the_root_belongs_to_one_environment(bench: HyperliquidBench) -> None:
    """A root of another environment takes no session of this one."""
    artifact = bench.signed()
    bench.root.mkdir(parents=True)
    source = read(bench, artifact)
    desk = bench.desk()
    desk.store.bind_root(bench.root, environment="live")
    with pytest.raises(QuantLabFault) as caught, adopted(desk, source, bench.root):
        raise AssertionError
    desk.ledger.close()
    assert (caught.value.outcome, caught.value.code) == ("denied", "root_environment")
