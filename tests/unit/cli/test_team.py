"""`team kubeconfig`, with a program in the place of Pulumi's."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from k3sgpu.cli.main import main

ENDS = (datetime.now(UTC) + timedelta(days=60, hours=1)).isoformat(timespec="seconds")
OUTPUTS = {
    "members": {"ana": {"team": "vision", "expires": ENDS}, "cy": {"team": "s", "expires": ENDS}},
    "memberKubeconfigs": {"ana": "kind: Config\n", "cy": "kind: Config\n"},
}


@pytest.fixture(autouse=True)
def pulumi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pulumi that knows the outputs of stack lab."""
    for name, value in OUTPUTS.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(value))
    program = tmp_path / "pulumi"
    program.write_text(f"""#!/bin/sh
case "$*" in *lab*) cat {tmp_path}/"$3".json ;; *) echo "error: no stack named 'x' found" >&2; exit 6 ;; esac
""")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")


def test_kubeconfig_is_printed_with_its_end_on_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["team", "kubeconfig", "ana", "--stack", "lab"]) == 0
    printed = capsys.readouterr()
    assert printed.out == "kind: Config\n"
    assert printed.err.startswith(f"ana of team vision: the token is valid until {ENDS} (60 days)")


def test_kubeconfig_file_is_private_even_when_it_was_not(tmp_path: Path) -> None:
    file = tmp_path / "ana.kubeconfig"
    file.write_text("an older and longer kubeconfig")
    file.chmod(0o644)
    assert main(["team", "kubeconfig", "ana", "--stack", "lab", "--output", str(file)]) == 0
    assert file.read_text() == "kind: Config\n" and file.stat().st_mode & 0o777 == 0o600


def test_unknown_member_and_stack_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["team", "kubeconfig", "bo", "--stack", "lab"]) == 2
    assert "no member bo in stack lab; expected one of: ana, cy" in capsys.readouterr().err
    assert main(["team", "kubeconfig", "ana", "--stack", "x"]) == 2
    assert "stack x gives no output members: error: no stack named 'x' found" in capsys.readouterr().err
