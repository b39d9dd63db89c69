"""What `adopt` does around the machines: its arguments, and the secrets that it found."""

from pathlib import Path

import pytest

from k3sgpu.cli import adopt_machines
from k3sgpu.cli.main import main

PULUMI = """\
#!/bin/sh
echo "$@" >>{log}
cat >>{stdin}
case "$*" in *"{fails}"*) echo "error: no such backend hidden-1" >&2; exit 1 ;; esac
"""


@pytest.mark.parametrize("arguments", [[], ["10.0.0.1", "--kubeconfig", "k"]])
def test_machines_or_a_kubeconfig_are_required(arguments: list[str], capsys: pytest.CaptureFixture[str]):
    assert main(["adopt", "lab", *arguments]) == 2
    assert "HOST..., or --kubeconfig FILE" in capsys.readouterr().err


def test_existing_stack_file_is_never_overwritten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.chdir(tmp_path)
    Path("Pulumi.lab.yaml").write_text("mine")
    assert main(["adopt", "lab", "10.0.0.1"]) == 2
    assert "is not overwritten" in capsys.readouterr().err and Path("Pulumi.lab.yaml").read_text() == "mine"


@pytest.mark.parametrize("fails", ["nothing", "config set"])
def test_secrets_reach_pulumi_by_stdin_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], fails: str
):
    log, stdin = tmp_path / "log", tmp_path / "stdin"
    (tmp_path / "pulumi").write_text(PULUMI.format(log=log, stdin=stdin, fails=fails))
    (tmp_path / "pulumi").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    kept = adopt_machines._keep_secrets("lab", {"proxyPassword": "hidden-1", "datastoreEndpoint": "hidden-2"})
    said = capsys.readouterr().err
    assert kept == (fails == "nothing") and "hidden" not in said + log.read_text()
    assert "datastoreEndpoint" in said
    assert stdin.read_text() == ("hidden-1hidden-2" if kept else "hidden-1")
    assert log.read_text().startswith("stack select --create lab")


def test_pulumi_that_fails_without_a_word_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    (tmp_path / "pulumi").write_text("#!/bin/sh\nexit 3\n")
    (tmp_path / "pulumi").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    assert not adopt_machines._keep_secrets("lab", {"proxyPassword": "hidden"})
    assert "exit status 3" in capsys.readouterr().err


def test_missing_pulumi_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert not adopt_machines._keep_secrets("lab", {"proxyPassword": "hidden"})
    said = capsys.readouterr().err
    assert "no program pulumi" in said and "pulumi config set --secret proxyPassword --stack lab" in said
