"""The command line as a whole: its commands, its conventions, and what it imports."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from k3sgpu.cli import fit
from k3sgpu.cli.main import COMMANDS, main
from k3sgpu.doctor.registry import checks

ROOT = Path(__file__).resolve().parents[3]
HEAVY = "asyncssh, cryptography, lightkube, pulumi, pydantic, yaml"


def test_building_the_parser_imports_no_large_library() -> None:
    code = (
        "import sys; from k3sgpu.cli.main import build_parser; build_parser(); "
        f"print(*set('{HEAVY}'.split(', ')) & sys.modules.keys())"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([command, "--help"])
    assert ended.value.code == 0
    assert "exit status: 0 fine, 1 found something, 2 could not" in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [[], ["none"], ["fit"], ["jobs"], ["doctor"]])
def test_wrong_arguments_are_status_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert capsys.readouterr().err.startswith("usage: python -m k3sgpu")


@pytest.mark.parametrize("command", ["fit", "plan"])
def test_stack_file_that_is_refused_is_status_2(command: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert main([command, "--file", "Pulumi.none.yaml"]) == 2
    printed = capfd.readouterr()
    assert printed.out == "" and printed.err.startswith(f"{command}: Pulumi.none.yaml: 1 error")
    assert main([command, "--file", "Pulumi.none.yaml", "--json"]) == 2
    printed = capfd.readouterr()
    assert [problem["severity"] for problem in json.loads(printed.out)["problems"]] == ["error"]
    assert printed.err == ""


@pytest.mark.parametrize(
    ("command", "variable"),
    [
        ("stage", "K3SGPU_STAGE_PLAN"),
        ("drain", "K3SGPU_EXPECTED_STATE"),
        ("jobs wait", "K3SGPU_JOB"),
        ("jobs verify", "K3SGPU_VERIFY"),
        ("team tokens", "K3SGPU_TEAM_TOKENS"),
        ("team evict", "K3SGPU_TEAM_SHARES"),
    ],
)
def test_missing_variable_is_named(
    command: str, variable: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv(variable, raising=False)
    assert main(command.split()) == 2
    name = command.partition(" ")[0]
    assert capsys.readouterr().err.startswith(f"{name}: {variable} is not set; the Pulumi program sets it")


def test_interrupted_command_is_status_130(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupt(options: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(fit, "run", interrupt)
    assert main(["fit", "--file", "Pulumi.dev.yaml"]) == 130
    assert capsys.readouterr().err == "fit: interrupted\n"


def test_doctor_lists_every_check(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor", "checks", "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)["checks"]
    assert [one["name"] for one in listed] == [check.name for check in checks()]
    assert all(one["severities"] and one["description"] and one["remedy"] for one in listed)
    assert main(["doctor", "checks"]) == 0
    text = capsys.readouterr().out
    assert "machine-id  error\n" in text and "owner  error, cannot be waived\n" in text
