"""A built wheel is complete and works in a venv of its own."""

import importlib.util
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
pytestmark = [pytest.mark.packaging, pytest.mark.slow]


def run(*command, **options):
    """Run a command that has to succeed and return what it printed."""
    done = subprocess.run(command, capture_output=True, text=True, check=False, **options)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Build the wheel of this checkout, offline, with the pinned backend."""
    folder = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "--quiet", "--isolated", "--disable-pip-version-check"]
    run(*pip, "wheel", "--no-index", "--no-deps", "--no-build-isolation", "-w", folder, ROOT)
    [wheel] = folder.glob("quantlab-*.whl")
    return wheel


@pytest.fixture(scope="module")
def program(wheel, tmp_path_factory):
    """Install the wheel alone into a fresh venv; the pinned dependencies are lent to it."""
    venv = tmp_path_factory.mktemp("venv") / "own"
    run(sys.executable, "-m", "venv", venv)
    pip = [venv / "bin" / "python", "-m", "pip", "--quiet", "--isolated"]
    run(*pip, "install", "--disable-pip-version-check", "--no-index", "--no-deps", wheel)
    [site] = (venv / "lib").glob("python*/site-packages")
    # A path added this way is searched last, and the .pth files in it (the editable one) are not.
    (site / "lent.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return venv / "bin" / "quantlab"


def test_installed_program_answers(program, tmp_path):
    """`quantlab --version` works from the wheel, with nothing of the checkout in reach."""
    from quantlab.kernel.build_info import VERSION

    assert VERSION in run(program, "--version", cwd=tmp_path, env={"PATH": ""})


def test_installed_code_is_the_wheel_s_own(program, tmp_path):
    """The venv imports the installed package, not the checkout."""
    command = [program.parent / "python", "-c", "import quantlab; print(quantlab.__file__)"]
    assert run(*command, cwd=tmp_path, env={}).startswith(str(program.parent.parent))


def test_wheel_carries_every_file_of_the_package_and_the_schemas(wheel):
    """Code, package data and schemas are all inside."""
    names = set(zipfile.ZipFile(wheel).namelist())
    package = ROOT / "src"
    expected = {
        path.relative_to(package).as_posix()
        for path in (package / "quantlab").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    } | {f"quantlab/{path.relative_to(ROOT).as_posix()}" for path in (ROOT / "schemas").rglob("*.json")}
    assert set() == expected - names


def make_repository(root):
    """Make a repository with one committed file and return its commit."""
    git = ["git", "-C", root, "-c", "user.name=t", "-c", "user.email=t@example.org"]
    run("git", "init", "--quiet", root)
    (root / "a").write_text("1")
    run(*git, "add", "a")
    run(*git, "commit", "--quiet", "-m", "a")
    return run(*git, "rev-parse", "HEAD")


def test_commit_is_claimed_only_for_an_unchanged_checkout(tmp_path):
    """A changed checkout, a folder inside one and a plain folder have no commit."""
    spec = importlib.util.spec_from_file_location("hatch_build", ROOT / "hatch_build.py")
    hook = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(hook)
    assert hook.read_clean_commit(tmp_path) is None
    commit = make_repository(tmp_path)
    assert commit == hook.read_clean_commit(tmp_path)
    inner = tmp_path / "inner"
    inner.mkdir()
    assert hook.read_clean_commit(inner) is None
    (tmp_path / "b").touch()
    assert hook.read_clean_commit(tmp_path) is None


def test_commit_is_fixed_at_build(tmp_path):
    """A wheel built from a clean clone names the clone's commit."""
    if not (ROOT / ".git").exists():
        pytest.skip("this checkout has no history")
    clone = tmp_path / "clone"
    run("git", "clone", "--quiet", ROOT, clone)
    if not (clone / "pyproject.toml").exists():
        pytest.skip("nothing is committed yet")
    pip = [sys.executable, "-m", "pip", "--quiet", "--isolated", "--disable-pip-version-check"]
    run(*pip, "wheel", "--no-index", "--no-deps", "--no-build-isolation", "-w", tmp_path, clone)
    [wheel] = tmp_path.glob("quantlab-*.whl")
    noted = zipfile.ZipFile(wheel).read("quantlab/kernel/_commit.txt").decode().strip()
    assert run("git", "-C", clone, "rev-parse", "HEAD") == noted
