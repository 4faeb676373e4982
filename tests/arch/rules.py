"""The house rules that no linter gives, as functions from a checkout to its violations.

Each rule reads a folder and returns one line per violation, so that the tests can hold it against
the real tree and against a planted violation alike. Nothing here imports the code it judges.
"""

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

Rule = Callable[[Path], list[str]]

FILE_LINES = 400
FUNCTION_LINES = 60

NO_FLOAT_ROOMS = ("model", "evidence", "venues", "rungs")
WRITING_ROOM = "storage/"
CLOCK_AND_ENTROPY = ("kernel/clock.py", "kernel/ids.py")
BROAD_HANDLERS = {"cli/main.py": 1, "rehearsal/server.py": 1}
NAMELESS = {"base", "common", "helper", "helpers", "manager", "misc", "util", "utils"}

WRITING_METHODS = {
    "FileHandler", "hardlink_to", "link_to", "mkdir", "rename", "rmdir", "symlink_to",
    "unlink", "write_bytes", "write_text",
}  # fmt: skip
WRITING_FUNCTIONS = {
    "os": {
        "fdopen", "link", "makedirs", "mkdir", "open", "remove", "removedirs", "rename", "renames",
        "replace", "rmdir", "symlink", "truncate", "unlink",
    },
    "shutil": {
        "chown", "copy", "copy2", "copyfile", "copytree", "make_archive", "move", "rmtree",
        "unpack_archive",
    },
    "tempfile": {"NamedTemporaryFile", "TemporaryDirectory", "TemporaryFile", "mkdtemp", "mkstemp"},
}  # fmt: skip

TIME_AND_ENTROPY = {
    "datetime": {"now", "today", "utcnow"},
    "date": {"today"},
    "time": {"monotonic", "monotonic_ns", "perf_counter", "sleep", "time", "time_ns"},
    "os": {"getrandom", "urandom"},
    "uuid": {"uuid1", "uuid4"},
    "random": {
        "SystemRandom", "choice", "choices", "getrandbits", "randbytes", "randint", "random",
        "randrange", "sample", "seed", "shuffle", "uniform",
    },
}  # fmt: skip
ENTROPY_MODULES = {"secrets"}

# Who may import what stands outside the layers. A folder ends in a slash.
CONFINED = {
    "quantlab.venues.effects": (
        "rungs/submit.py",
        "rungs/submit_signed.py",
        "rungs/sign.py",
        "rungs/cancel.py",
        "rungs/burn.py",
        "rungs/certify.py",
        "venues/",
        "wiring.py",
    ),
    "quantlab.venues.kraken.orders": ("venues/kraken/", "wiring.py"),
    "quantlab.venues.hyperliquid.orders": ("venues/hyperliquid/", "wiring.py"),
    "argparse": ("cli/",),
    "Crypto": ("kernel/", "venues/", "rehearsal/"),
    "coincurve": ("kernel/", "venues/", "rehearsal/"),
    "getpass": ("key_sources.py",),
    "h11": ("rehearsal/",),
    "http.client": ("venues/exchange.py", "rehearsal/"),
    "keyring": ("key_sources.py",),
    "sqlite3": ("storage/",),
    "urllib.request": (),
    "websockets": ("venues/",),
    "wsproto": ("rehearsal/",),
}
STANDARD_LIBRARY_ROOMS = ("kernel", "model", "evidence", "storage")
THIRD_PARTY_BELOW = {"msgspec"}


# ------------------------------------------------------------------------------------------ reading


def read_sources(root: Path, *rooms: str) -> Iterator[tuple[str, ast.Module]]:
    """Yield path (relative to the package) and tree of each module, of all rooms or of some."""
    package = root / "src" / "quantlab"
    for path in sorted(package.rglob("*.py")):
        name = path.relative_to(package).as_posix()
        if not rooms or name.split("/")[0].removesuffix(".py") in rooms:
            yield name, ast.parse(path.read_text(encoding="utf-8"), filename=name)


def is_within(name: str, places: tuple[str, ...]) -> bool:
    """Tell whether a module stands in one of the places."""
    return any(name == place or (place.endswith("/") and name.startswith(place)) for place in places)


def read_imports(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Yield line and dotted name of each import; `from a import b` counts as a.b."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)


def read_calls(tree: ast.Module) -> Iterator[tuple[ast.Call, str, str]]:
    """Yield each call with the name it is called on ("" for a bare name) and the called name.

    A name imported by `from os import link` is reported as called on `os`.
    """
    origins = {
        alias.asname or alias.name: (node.module or "", alias.name)
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        if isinstance(node.func, ast.Name):
            owner, called = origins.get(node.func.id, ("", node.func.id))
            yield node, owner, called
        elif isinstance(node.func, ast.Attribute):
            value = node.func.value
            owner = value.id if isinstance(value, ast.Name) else getattr(value, "attr", "?")
            yield node, owner, node.func.attr


def read_repository_files(root: Path) -> list[Path]:
    """Return the files that are, or would be, committed."""
    listing = subprocess.run(
        ["git", "-C", str(root), "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        capture_output=True,
        check=False,
    )
    if listing.returncode == 0:
        found = [root / name for name in listing.stdout.decode().split("\0") if name]
    else:
        found = [
            path
            for path in root.rglob("*")
            if not {".git", ".venv", "__pycache__"} & set(path.relative_to(root).parts)
            and not any(part.endswith("_cache") for part in path.relative_to(root).parts)
            and not path.name.startswith(".coverage")
        ]
    return sorted(path for path in found if path.is_file())


# -------------------------------------------------------------------------------------------- rules


def check_no_float(root: Path) -> list[str]:
    """No float literal and no `float(` where money, evidence or the wire is handled."""
    found = []
    for name, tree in read_sources(root, *NO_FLOAT_ROOMS):
        found += [
            f"{name}:{node.lineno}: float literal {node.value}"
            for node in ast.walk(tree)
            if isinstance(node, ast.Constant) and isinstance(node.value, float)
        ]
        for call, owner, called in read_calls(tree):
            if (owner, called) == ("", "float"):
                found.append(f"{name}:{call.lineno}: float()")
    return found


def _writes(call: ast.Call, owner: str, called: str) -> bool:
    """Tell whether a call creates, changes, moves or removes a file."""
    if owner == "self":  # a method of this class, judged by its own body
        return False
    if called in WRITING_FUNCTIONS.get(owner, ()) or called in WRITING_METHODS:
        return True
    if called == "touch":  # other things are touched too; a path bears its name
        return owner == "?" or re.search("path|file|folder|note", owner) is not None
    if called == "replace":  # str.replace takes two arguments, dataclass forms take keywords
        return len(call.args) == 1 and not call.keywords
    if called != "open":
        return (owner, called) == ("sqlite3", "connect")
    named = [keyword.value for keyword in call.keywords if keyword.arg == "mode"]
    builtin = owner in {"", "io"}
    modes = named or (call.args[1:2] if builtin else call.args[:1])
    for mode in modes:
        if not isinstance(mode, ast.Constant):
            return builtin  # a mode that cannot be read here
        if re.fullmatch(r"[rwaxbt+]+", str(mode.value)) and set(str(mode.value)) & set("wax+"):
            return True
    return False


def check_writes_in_storage(root: Path) -> list[str]:
    """Files are created, changed and removed in `storage` alone."""
    return [
        f"{name}:{call.lineno}: {owner + '.' if owner else ''}{called} writes outside storage"
        for name, tree in read_sources(root)
        if not name.startswith(WRITING_ROOM)
        for call, owner, called in read_calls(tree)
        if _writes(call, owner, called)
    ]


def _catches_everything(node: ast.AST) -> bool:
    """Tell whether a node swallows errors that nobody named."""
    if isinstance(node, ast.ExceptHandler):
        last = node.body[-1]
        if isinstance(last, ast.Raise) and last.exc is None:
            return False  # tidies up and passes the error on
        caught = node.type
    elif isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "suppress":
        caught = ast.Tuple(elts=node.args)
    else:
        return False
    if caught is None:
        return True
    parts = caught.elts if isinstance(caught, ast.Tuple) else [caught]
    return any(isinstance(p, ast.Name) and p.id in {"BaseException", "Exception"} for p in parts)


def check_no_broad_except(root: Path) -> list[str]:
    """Errors are named where they are caught, but for the outermost handlers."""
    found = []
    for name, tree in read_sources(root):
        lines = [node.lineno for node in ast.walk(tree) if _catches_everything(node)]
        lines = lines[BROAD_HANDLERS.get(name, 0) :]
        found += [f"{name}:{line}: catches every error" for line in lines]
    return found


def check_clock_and_entropy(root: Path) -> list[str]:
    """Time and entropy are read in two kernel modules and injected everywhere else."""
    found = []
    for name, tree in read_sources(root):
        if name in CLOCK_AND_ENTROPY:
            continue
        for call, owner, called in read_calls(tree):
            if called in TIME_AND_ENTROPY.get(owner, ()):
                found.append(f"{name}:{call.lineno}: {owner}.{called}")
            elif (owner, called) == ("random", "Random") and not call.args:
                found.append(f"{name}:{call.lineno}: random.Random without a seed")
        for line, imported in read_imports(tree):
            module, _, member = imported.rpartition(".")
            if imported.split(".")[0] in ENTROPY_MODULES or (
                module != "datetime" and member in TIME_AND_ENTROPY.get(module, ())
            ):
                found.append(f"{name}:{line}: import of {imported}")
    return found


def check_budgets(root: Path) -> list[str]:
    """A file has at most 400 lines, a function 60."""
    found = []
    package = root / "src" / "quantlab"
    for name, tree in read_sources(root):
        lines = len((package / name).read_text(encoding="utf-8").splitlines())
        if lines > FILE_LINES:
            found.append(f"{name}: {lines} lines, at most {FILE_LINES}")
        for node in ast.walk(tree):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                size = (node.end_lineno or node.lineno) - node.lineno + 1
                if size > FUNCTION_LINES:
                    found.append(f"{name}:{node.lineno}: {node.name} has {size} lines")
    return found


def check_module_names(root: Path) -> list[str]:
    """No module bears a name that says nothing."""
    return [
        f"{name}: a name that says nothing"
        for name, _ in read_sources(root)
        if NAMELESS & {part.removesuffix(".py") for part in name.split("/")}
    ]


def check_confined_imports(root: Path) -> list[str]:
    """What moves money, opens sockets or parses options is imported in its own places only."""
    found = []
    for name, tree in read_sources(root):
        for line, imported in read_imports(tree):
            found += [
                f"{name}:{line}: {module} may not be imported here"
                for module, places in CONFINED.items()
                if f"{imported}.".startswith(f"{module}.") and not is_within(name, places)
            ]
    return found


def check_small_foundation(root: Path) -> list[str]:
    """From kernel to storage: standard library, msgspec and ourselves."""
    allowed = sys.stdlib_module_names | THIRD_PARTY_BELOW | {"quantlab"}
    return [
        f"{name}:{line}: {imported} is neither standard library nor msgspec"
        for name, tree in read_sources(root, *STANDARD_LIBRARY_ROOMS)
        for line, imported in read_imports(tree)
        if imported.split(".")[0] not in allowed
    ]


def read_rungs(root: Path) -> list[str]:
    """Return the rungs named by the import contract that exist as modules."""
    settings = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = settings["tool"]["importlinter"]["contracts"]
    [rungs] = [contract for contract in contracts if contract["id"] == "rungs"]
    named = re.findall(r"\w+", rungs["layers"][0])
    return [name for name in named if (root / f"src/quantlab/rungs/{name}.py").exists()]


def check_rung_tests(root: Path) -> list[str]:
    """Each rung has a test file of its own."""
    return [
        f"tests/unit/rungs/test_{rung}.py is missing"
        for rung in read_rungs(root)
        if not (root / f"tests/unit/rungs/test_{rung}.py").exists()
    ]


def check_rung_headings(root: Path) -> list[str]:
    """Each rung has a heading in the runbook, in its own word."""
    text = (root / "docs" / "runbook.md").read_text(encoding="utf-8").lower()
    headings = [re.sub(r"[_-]", " ", line) for line in text.splitlines() if line.startswith("#")]
    return [
        f"docs/runbook.md has no heading for {rung}"
        for rung in read_rungs(root)
        if not any(re.search(rf"\b{rung.replace('_', ' ')}\b", line) for line in headings)
    ]


def check_collected(root: Path) -> list[str]:
    """Every file that defines tests bears a name that the runner collects, in its folder."""
    found = []
    for path in read_repository_files(root):
        name = path.relative_to(root).as_posix()
        if path.suffix != ".py" or name.startswith("src/"):
            continue
        tests = re.search(r"^\s*def test_", path.read_text(encoding="utf-8"), re.MULTILINE)
        collected = name.startswith("tests/") and path.name.startswith("test_")
        if tests and not collected:
            found.append(f"{name}: defines tests that no run collects")
        if collected and not tests:
            found.append(f"{name}: has a test file's name and no test")
    return found


# Written in halves, or this file would violate its own rule.
REGISTRIES = ("pypi" + ".org", "python" + "hosted.org", "registry." + "npmjs", "test." + "pypi")
MACHINE_PATHS = re.compile(
    r"(?<![\w.>}~-])/(?:" + "|".join(["ho" + "me", "Us" + "ers", "ro" + "ot", "wo" + "rk"]) + r")/\w"
)
FOREIGN_WORDS = re.compile(r"co-authored" + r"-by:|generated" + r" with \[|as an " + r"ai\b", re.IGNORECASE)


def check_neutral_files(root: Path) -> list[str]:
    """No committed file names a registry, a path of one machine, or how it came to be."""
    found = []
    for path in read_repository_files(root):
        name = path.relative_to(root).as_posix()
        text = path.read_bytes().decode("utf-8", errors="replace")
        for number, line in enumerate(text.splitlines(), start=1):
            if any(host in line.lower() for host in REGISTRIES):
                found.append(f"{name}:{number}: names a package registry")
            if MACHINE_PATHS.search(line):
                found.append(f"{name}:{number}: holds a path of one machine")
            if FOREIGN_WORDS.search(line):
                found.append(f"{name}:{number}: speaks of something other than the product")
    return found
