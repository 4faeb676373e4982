"""The small commands: policy, completion, and handing over to the rehearsal exchange."""

import subprocess
from types import SimpleNamespace

import pytest

from quantlab import config
from quantlab.kernel.result import Result
from quantlab.model.policy import Policy, policy_digest, policy_from_toml

RUNS = {"KRAKEN_API_SECRET": "it's", "QUANTLAB_ENVIRONMENT": "rehearsal"}


def test_policy_show_defaults(machine):
    """Without a file the defaults are shown with their digest."""
    assert 0 == machine("policy", "show")
    assert "built-in defaults" in machine.out
    assert policy_digest(Policy()) in machine.out
    assert 0 == machine("policy", "show", "--json")
    data = machine.envelope["data"]
    assert ("defaults", None) == (data["source"], data["path"])
    assert data["values"]["require_promotion"] is False


def test_policy_show_a_file(machine):
    """A file's values are shown with its path; a bad value ends with exit 2."""
    path = machine.folder / "quantlab.toml"
    path.write_text("max_order_notional = 5e2\n")
    assert 0 == machine("--json", "policy", "show")
    data = machine.envelope["data"]
    assert ("file", str(path), "500") == (
        data["source"],
        data["path"],
        data["values"]["max_order_notional"],
    )
    path.write_text("max_order_notional = nan\n")
    assert 2 == machine("policy", "show")
    assert "max_order_notional" in machine.err


def test_policy_init(machine):
    """The file is written once, private, with the defaults; a second time it is left alone."""
    assert 0 == machine("policy", "init")
    path = machine.folder / "quantlab.toml"
    assert f"Artifact: {path}" in machine.out
    assert 0o600 == path.stat().st_mode & 0o777
    assert Policy().canonical_values() == policy_from_toml(path.read_text()).canonical_values()
    path.write_text("daily_orders = 3\n")
    assert 1 == machine("policy", "init")
    assert "exists already" in machine.err
    assert "quantlab policy show" in machine.err
    assert "daily_orders = 3\n" == path.read_text()


def test_policy_init_where_nothing_can_be_written(machine):
    """A folder that takes no file is a refusal, not a traceback."""
    machine.folder = machine.folder / "gone"
    assert 1 == machine("policy", "init")
    assert "storage_missing" in machine.err


def test_completion(machine):
    """The script is printed as it is; with JSON it stands in the envelope."""
    assert 0 == machine("completion", "bash")
    script = machine.out
    assert script.startswith("# Completion for bash")
    assert 0 == machine("completion", "bash", "--json")
    assert {"shell": "bash", "script": script} == machine.envelope["data"]


def serving(machine, env):
    """Put a rehearsal server in place; return what it is asked."""
    asked = []
    line = None if env is None else SimpleNamespace(env=env)

    def serve(options):
        asked.append(options)
        return 6

    machine.modules["quantlab.rehearsal.server"] = SimpleNamespace(
        ServeOptions=lambda **fields: fields,
        serve=serve,
        read_serve_file=lambda state: asked.append(state) or line,
    )
    return asked


def test_rehearsal_serve(machine):
    """Serving is handed over whole: options in, exit code out, not a word printed."""
    asked = serving(machine, RUNS)
    code = machine("rehearsal", "serve", "--state", "d", "--seed", "7", "--tls", "--json")
    assert (6, "", "") == (code, machine.out, machine.err)
    assert asked == [
        {
            "state": config.Path("d"),
            "seed": 7,
            "faults": None,
            "kraken_port": 0,
            "hyperliquid_port": 0,
            "control_port": 0,
            "tls": True,
        }
    ]


def test_rehearsal_serve_fits_the_server():
    """The row's fields are the server's options."""
    from quantlab.cli.commands import RehearsalServe
    from quantlab.rehearsal.server import ServeOptions

    assert set(ServeOptions.__struct_fields__) == set(RehearsalServe.__struct_fields__)


def test_rehearsal_env(machine):
    """A shell that evaluates the lines has the exchange's settings and our programs first."""
    serving(machine, RUNS)
    assert 0 == machine("rehearsal", "env")
    assert "export KRAKEN_API_SECRET='it'\"'\"'s'\n" in machine.out
    done = subprocess.run(
        ["/bin/sh", "-c", machine.out + 'echo "$KRAKEN_API_SECRET" "${PATH%%:*}"'],
        capture_output=True,
        text=True,
        check=True,
    )
    assert f"it's {config.interpreter_dir()}\n" == done.stdout
    assert 0 == machine("rehearsal", "env", "--json")
    assert RUNS == machine.envelope["data"]["env"]


@pytest.mark.parametrize("state", [(), ("--state", "d")])
def test_rehearsal_env_without_an_exchange(machine, state):
    """Where no exchange answers: exit 7, nothing on standard output, and how to start one."""
    serving(machine, None)
    assert 7 == machine("rehearsal", "env", *state)
    assert "" == machine.out
    assert " ".join(["quantlab rehearsal serve", *state]) in machine.err


def test_rehearsal_run(machine):
    """The walk is handed the folder and a way to show its progress."""

    def walk(outdir, progress):
        progress(f"walking in {outdir}")
        return Result(outcome="done", headline="Walked.")

    machine.modules["quantlab.cli.walk"] = SimpleNamespace(run=walk)
    assert 0 == machine("rehearsal", "run", "--outdir", "d")
    assert ("Walked.\n", "walking in d\n") == (machine.out, machine.err)
