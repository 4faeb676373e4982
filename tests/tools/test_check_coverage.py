"""The coverage gate counts missing lines, missing branches and modules that nobody imported."""

import json

import pytest

from tools import check_coverage


def entry(lines=(), branches=(), covered=8, total=10):
    """Return a module's part of a report."""
    return {
        "missing_lines": list(lines),
        "missing_branches": [list(pair) for pair in branches],
        "summary": {
            "covered_lines": covered,
            "num_statements": total,
            "covered_branches": 0,
            "num_branches": 0,
        },
    }


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """Run the gate on a made-up checkout and report; return exit code and output."""
    monkeypatch.setattr(check_coverage, "ROOT", tmp_path)
    package = tmp_path / "src" / "quantlab"
    for name in ("rungs/submit.py", "cli/main.py"):
        (package / name).parent.mkdir(parents=True)
        (package / name).write_text("x = 1\n")
    (package / "rungs/__init__.py").write_text("")

    def run(files):
        report = tmp_path / "report.json"
        report.write_text(json.dumps({"files": files}))
        code = check_coverage.main([str(report)])
        printed = capsys.readouterr()
        return code, printed.out + printed.err

    return run


def test_complete_rooms_pass(run):
    """Full rooms pass; the rest is only reported."""
    files = {"src/quantlab/rungs/submit.py": entry(), "src/quantlab/cli/main.py": entry([1])}
    assert run(files) == (
        0,
        "Coverage of kernel, model, evidence, storage, rungs: complete; of the rest: 80.0 %\n",
    )


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"src/quantlab/rungs/submit.py": entry([3, 4])}, "rungs/submit.py: lines 3 4"),
        (
            {"src/quantlab/rungs/submit.py": entry([], [(3, 5), (4, -1)])},
            "rungs/submit.py: branches 3->5 4->exit",
        ),
        ({}, "rungs/submit.py: never imported"),
    ],
)
def test_short_module_fails_by_name(run, files, expected):
    """What is missing is printed with module and place."""
    code, printed = run(files)
    assert code == 1
    assert f"  {expected}\n" in printed
