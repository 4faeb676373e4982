"""The documents say what the code does: commands, codes, refusals, rungs, links, names of tests."""

import ast
import re
import shlex
from pathlib import Path

import pytest

from quantlab.cli import runbook, table
from quantlab.cli.parsing import parse
from quantlab.cli.spelling import Spelling
from quantlab.config import SETTING_NAMES
from quantlab.kernel.errors import EXIT_CODES
from quantlab.model.policy import POLICY_RULES
from quantlab.model.reconciliation import judge
from quantlab.rungs.corridors import CORRIDORS
from tests.arch.rules import read_rungs

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
NAMES = [page.relative_to(ROOT).as_posix() for page in PAGES]

SESSION = "outputs/broker_order_validations/<session_id>"
SIGNED_SESSION = "outputs/hyperliquid_submits/<session_id>"
SIGNED_OUTDIR = "outputs/broker_preflight/hyperliquid_signed_action_demo"
NOBODY = "0x0000000000000000000000000000000000000000"
SEED = [
    "python main.py --broker-evidence-readiness-outdir outputs/broker_evidence",
    "python main.py --broker-evidence-readiness-outdir outputs/broker_evidence --broker-evidence-corridor hyperliquid",
    "python main.py --broker-evidence-readiness-outdir outputs/broker_evidence --broker-evidence-corridor kraken",
    (
        "python main.py --kraken-order-validate-session --broker-symbol ETH-USD --broker-side buy"
        " --broker-quantity 0.25 --broker-notional 500 --broker-account-id acct_demo"
    ),
    f"python main.py --broker-order-validations-show {SESSION}",
    (
        f"python main.py --broker-order-validations-approve {SESSION} --broker-approval-reviewer marce"
        ' --broker-approval-note "Approved after validate-only review"'
    ),
    f"python main.py --broker-order-validations-bundle {SESSION}",
    (
        f"python main.py --broker-order-validations-submit-gate {SESSION} --broker-submit-reviewer marce"
        ' --broker-submit-confirm --broker-submit-note "Ready for supervised submit review"'
    ),
    (
        f"python main.py --broker-order-validations-submit-real {SESSION} --broker-submit-reviewer marce"
        ' --broker-submit-confirm --broker-submit-live --broker-submit-note "First supervised live submit"'
    ),
    f"python main.py --broker-order-validations-reconcile {SESSION}",
    f"python main.py --broker-order-validations-status {SESSION}",
    "python main.py --broker-order-validations-health outputs/broker_order_validations",
    "python main.py --broker-order-validations-alerts outputs/broker_order_validations",
    (
        "python main.py --hyperliquid-preflight-outdir outputs/broker_preflight/hyperliquid_demo"
        " --broker-symbol ETH --execution-transport-preference websocket"
    ),
    (
        "python main.py --hyperliquid-account-readiness-outdir outputs/broker_preflight/hyperliquid_account_demo"
        f" --execution-account-id {NOBODY}"
    ),
    (
        f"python main.py --hyperliquid-signed-action-outdir {SIGNED_OUTDIR} --broker-symbol ETH --broker-side buy"
        f" --broker-quantity 0.25 --broker-notional 500 --execution-account-id {NOBODY}"
        " --execution-signer-id 0xSIGNER_ADDRESS --hyperliquid-private-key-env HYPERLIQUID_PRIVATE_KEY"
    ),
    (
        f"python main.py --hyperliquid-submit-session {SIGNED_OUTDIR}/hyperliquid_signed_action.json"
        " --hyperliquid-submit-reviewer marce --hyperliquid-submit-confirm"
        " --hyperliquid-submit-sessions-root outputs/hyperliquid_submits"
    ),
    f"python main.py --hyperliquid-submit-sessions-status {SIGNED_SESSION}",
    f"python main.py --hyperliquid-submit-sessions-reconcile {SIGNED_SESSION}",
    f"python main.py --hyperliquid-submit-sessions-fills {SIGNED_SESSION}",
    f"python main.py --hyperliquid-submit-sessions-supervise {SIGNED_SESSION}",
    "python main.py --hyperliquid-submit-sessions-health outputs/hyperliquid_submits",
    "python main.py --hyperliquid-submit-sessions-alerts outputs/hyperliquid_submits",
    (
        f"python main.py --hyperliquid-submit-sessions-cancel {SIGNED_SESSION}"
        " --hyperliquid-cancel-reviewer marce --hyperliquid-cancel-confirm"
    ),
]

# Rooms whose codes an operator of a corridor can meet, and the calls that carry one.
CODE_ROOMS = ("rungs", "storage", "evidence", "venues/kraken", "venues/hyperliquid")
CODE_MODULES = ("key_sources.py", "config_secrets.py")
CARRIERS = {
    "Busy", "Check", "Denied", "Finding", "Refusal", "SigningRefusal", "SpendRefusal", "StorageFault", "Unverified",
    "UsageFault", "lifetime_check", "one_check", "required_text",
}  # fmt: skip


def read(name):
    """Return a page of the checkout."""
    return (ROOT / name).read_text(encoding="utf-8")


def command_lines(name):
    """Return the command lines in a page's fenced blocks; blocks of output are marked as text."""
    found = []
    for block in re.findall(r"^ *```\n(.*?)^ *```$", read(name), re.MULTILINE | re.DOTALL):
        found += [line.strip() for line in block.splitlines()]
    starts = ("quantlab ", "python main.py ", ".venv/bin/quantlab ")
    return [line for line in found if line.startswith(starts)]


def words_of(line):
    """Return the words after the program's name."""
    words = shlex.split(line)
    return words[2:] if words[0] == "python" else words[1:]


def read_codes():
    """Return every refusal code that stands as a literal in the source, with the file that holds it."""
    found = {}
    source = ROOT / "src/quantlab"
    paths = [source / name for name in CODE_MODULES]
    paths += [path for room in CODE_ROOMS for path in sorted((source / room).rglob("*.py"))]
    for path in paths:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call) or getattr(node.func, "id", "") not in CARRIERS:
                continue
            values = [keyword.value for keyword in node.keywords if keyword.arg == "code"] or node.args[:1]
            for value in values:
                if isinstance(value, ast.Constant) and re.fullmatch(r"[a-z][a-z_]+", str(value.value)):
                    found[value.value] = path.relative_to(ROOT).as_posix()
    return found


def slug(heading):
    """Return the anchor of a heading, as repository hosts make it."""
    return re.sub(r"[^\w\- ]", "", heading.strip("# ").lower()).replace(" ", "-")


def links_of(name):
    """Return the targets of a page's links that stay in the checkout."""
    targets = re.findall(r"\]\(([^)\s]+)\)", read(name))
    return [target for target in targets if not re.match(r"[a-z]+:", target)]


def broken_links(name):
    """Return the links of a page whose file or heading is missing."""
    broken = []
    for target in links_of(name):
        path, _, anchor = target.partition("#")
        page = (ROOT / name).parent / path if path else ROOT / name
        text = page.read_text(encoding="utf-8") if anchor and page.exists() else ""
        anchors = {slug(line) for line in text.splitlines() if line.startswith("#")}
        if not page.exists() or (anchor and anchor not in anchors):
            broken.append(target)
    return broken


@pytest.mark.parametrize("line", SEED)
def test_runbook_holds_the_fixed_lines_word_for_word(line):
    """Each line that operators rely on stands in the runbook, on a line of its own."""
    assert line in command_lines("docs/runbook.md")


@pytest.mark.parametrize("name", ["README.md", "docs/runbook.md"])
def test_every_command_line_is_understood(name):
    """No line that a page tells an operator to type is a wrong line."""
    lines = command_lines(name)
    assert len(lines) > 3
    for line in lines:
        words = words_of(line)
        spelling = Spelling(program="quantlab", flags=runbook.uses_flags(words))
        parse(runbook.translate(words), spelling)


def test_every_command_is_in_the_reference():
    """The reference page has a heading for each command of the table, and shows both spellings."""
    text = read("docs/cli.md")
    missing = [each.name for each in table.COMMANDS if f"\n### {each.name}\n" not in text]
    flags = (*table.VERB_FLAGS, *table.OPTION_FLAGS)
    missing += [flag for flag in flags if not re.search(rf"(?<![\w-]){flag}(?![\w-])", text)]
    assert missing == []


def test_every_corridor_command_is_in_the_runbook():
    """The runbook shows each command of either corridor at least once."""
    lines = [runbook.translate(words_of(line)) for line in command_lines("docs/runbook.md")]
    shown = {" ".join(words[:2]) for words in lines}
    commands = [each for venue in CORRIDORS for each in table.commands_of(venue)]
    assert len(commands) > 30
    assert [each.name for each in commands if each.name not in shown] == []


def test_every_exit_code_is_documented():
    """The page of exit codes names every outcome with its code."""
    text = read("docs/exit-codes.md")
    assert [word for word, code in EXIT_CODES.items() if f"| {code} | `{word}` |" not in text] == []


def test_every_setting_and_policy_key_is_documented():
    """The configuration page names every setting and every key of the policy."""
    text = read("docs/configuration.md")
    names = [*SETTING_NAMES, *(rule.key for rule in POLICY_RULES)]
    assert [name for name in names if f"`{name}`" not in text] == []


def test_every_refusal_code_is_in_the_runbook():
    """An operator finds each refusal code of the corridor in the runbook's table."""
    section = read("docs/runbook.md").partition("## Refusal codes")[2]
    codes = read_codes()
    assert len(codes) > 80
    assert {code: where for code, where in codes.items() if f"`{code}`" not in section} == {}


def test_every_rung_has_a_heading_and_says_its_exits():
    """The runbook's section of a rung says what it writes or checks, and how it ends."""
    sections = {}
    for part in re.split(r"^## ", read("docs/runbook.md"), flags=re.MULTILINE):
        sections[part.splitlines()[0].lower()] = part
    for rung in read_rungs(ROOT):
        word = rung.replace("_", " ")
        [section] = [text for head, text in sections.items() if head in {word, f"{word} readiness"} and "```" in text]
        assert "Writes `" in section, rung
        assert re.search(r"\bexit\b", section, re.IGNORECASE), rung


def test_every_reason_of_reconcile_is_explained():
    """Each reason that reconcile prints stands in its section of the runbook."""
    source = read("src/quantlab/model/reconciliation.py")
    reasons = set(re.findall(r'(?:append\(|reasons=\(|return |else )"([a-z_]+)"', source))
    section = read("docs/runbook.md").partition("## Reconcile")[2].partition("\n## ")[0]
    assert judge.__doc__
    assert len(reasons) > 8
    assert [reason for reason in sorted(reasons) if f"`{reason}`" not in section] == []


def test_every_cited_assumption_is_written_down():
    """What a resolution cites has a row and a section on the page of assumptions."""
    text = read("docs/assumptions.md")
    for corridor in CORRIDORS.values():
        letter = corridor.venue[0].upper()
        numbers = re.findall(rf"^### ({letter}\d+) ", text, re.MULTILINE)
        assert [f"{letter}{number}" for number in range(1, len(numbers) + 1)] == numbers
        cited = {*corridor.absence_rests_on, *corridor.proof_rests_on}
        assert [one for one in (*cited, *numbers) if f"\n| {one} | " not in text] == []
        assert cited <= set(numbers)


@pytest.mark.parametrize("place", re.findall(r"`(tests/[\w/]+\.py::\w+)`", read("docs/invariants.md")))
def test_every_invariant_has_its_test(place):
    """The test that an invariant names exists under that name."""
    file, _, function = place.partition("::")
    assert f"def {function}(" in read(file)


def test_each_invariant_names_a_test():
    """No row of the invariants is without a test."""
    rows = [line for line in read("docs/invariants.md").splitlines() if re.match(r"\| \d", line)]
    assert len(rows) > 7
    assert [row for row in rows if "tests/" not in row] == []


@pytest.mark.parametrize("name", NAMES)
def test_every_link_leads_somewhere(name):
    """Relative links point at files of the checkout, and anchors at headings."""
    assert broken_links(name) == []


def test_paths_named_by_the_architecture_exist():
    """Each module that ARCHITECTURE.md names by its path is there."""
    named = re.findall(r"`((?:[a-z_]+/)+[a-z_]+\.py)`", read("ARCHITECTURE.md"))
    assert len(named) > 20
    bases = (ROOT, ROOT / "src/quantlab")
    assert [path for path in named if not any((base / path).exists() for base in bases)] == []


def test_decisions_are_numbered_listed_and_whole():
    """Each decision has its number, its place in the list, and its four parts."""
    pages = sorted((ROOT / "docs/adr").glob("0*.md"))
    index = read("docs/adr/README.md")
    assert [f"{number:04d}" for number in range(1, len(pages) + 1)] == [page.name[:4] for page in pages]
    for page in pages:
        text = page.read_text(encoding="utf-8")
        assert text.startswith(f"# {page.name[:4]} ")
        assert f"({page.name})" in index
        parts = re.findall(r"^## (.+)$", text, re.MULTILINE)
        assert ["Context", "Options", "Decision", "What gets worse"] == parts


def test_cited_decisions_exist():
    """A decision that code or a page cites by number is there."""
    cited = set()
    for path in [*(ROOT / "src").rglob("*.py"), *PAGES]:
        cited |= set(re.findall(r"ADR (\d{4})", path.read_text(encoding="utf-8")))
    assert "0006" in cited
    assert [number for number in sorted(cited) if not list((ROOT / "docs/adr").glob(f"{number}-*.md"))] == []
