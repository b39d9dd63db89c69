"""Every rule has a broken stack file, and everything that reads one tells its mistake: never a traceback."""

import ast
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pulumi
import pytest

from k3sgpu import settings as s
from k3sgpu.cli.main import main
from k3sgpu.settings.files.stack_file import read_keys
from k3sgpu.settings.models import names
from tests.data import broken_files as b
from tools import mocked_program

ROOT = Path(__file__).resolve().parents[3]
BY_FILE = b.REFUSED | b.THERE | b.UNREADABLE | b.SECRETS
BY_PROGRAM = b.REFUSED | b.THERE | b.SECRETS | b.KEYS | b.KUBECONFIGS | b.RELEASES | b.MISFITS
ALL = BY_FILE | b.KEYS | b.KUBECONFIGS | b.RELEASES | b.MISFITS | b.UNDECIDED


def told(broken: b.Broken, text: str) -> None:
    """All four things stand in what a user reads."""
    for piece in (broken.path, broken.found, broken.expected, broken.remedy):
        assert piece in text
    assert "Traceback" not in text


@pytest.mark.parametrize("case", BY_FILE | b.MISFITS | b.UNDECIDED)
def test_capacity_tells(case: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    broken = ALL[case]
    status = main(["fit", "--file", str(broken.write(tmp_path)), "--json"])
    (problem,) = json.loads(capsys.readouterr().out)["problems"]
    assert broken.path in problem["where"] and broken.found in problem["found"]
    assert broken.expected in problem["expected"] and broken.remedy in problem["remedy"]
    assert status == (2 if case in BY_FILE else 1 if case in b.MISFITS else 0)


@pytest.mark.parametrize("case", BY_FILE | b.KEYS)
def test_doctor_tells(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    broken = ALL[case]
    assert main(["doctor", "hosts", "--file", str(broken.write(tmp_path))]) == 2
    told(broken, _unwrapped(capsys.readouterr().err))


@pytest.mark.parametrize("case", b.KUBECONFIGS)
def test_doctor_tells_of_a_cluster_that_is_there(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["doctor", "cluster", "--file", str(ALL[case].write(tmp_path))]) == 2
    told(ALL[case], _unwrapped(capsys.readouterr().err))


@pytest.mark.parametrize("case", BY_PROGRAM)
def test_the_program_tells_and_registers_nothing(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    broken = ALL[case]
    plain, secrets = read_keys(broken.write(tmp_path))
    with pytest.raises(pulumi.RunError) as refused:
        mocked_program.run(plain, stack="broken", secrets=dict.fromkeys(secrets, "AAAB"))
    told(broken, _unwrapped(str(refused.value)))


def _unwrapped(text: str) -> str:
    """Without the indentation of a report's further lines."""
    return "\n".join(line.removeprefix(" " * 12) for line in text.splitlines())


# A rule is a place that makes a Problem


def rules() -> Iterator[tuple[str, range]]:
    """Every place in settings and capacity that says what is wrong: file, and the lines of the call."""
    for file in sorted([*ROOT.glob("k3sgpu/settings/**/*.py"), *ROOT.glob("k3sgpu/capacity/*.py")]):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("Problem", "refusal"):
                yield str(file), range(node.lineno, (node.end_lineno or node.lineno) + 1)


def test_every_rule_has_a_broken_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    spoke: set[tuple[str, int]] = set()

    def remember(depth: int) -> None:
        frame = sys._getframe(depth + 1)
        spoke.add((frame.f_code.co_filename, frame.f_lineno))

    make, make_error = s.Problem.__init__, names.PydanticCustomError

    def problem(self: s.Problem, *arguments: Any, **more: Any) -> None:
        remember(1)
        make(self, *arguments, **more)

    def error(*arguments: Any) -> Exception:
        remember(2)  # `refusal` is between
        return make_error(*arguments)

    monkeypatch.setattr(s.Problem, "__init__", problem)
    monkeypatch.setattr(names, "PydanticCustomError", error)
    monkeypatch.chdir(tmp_path)
    for case, broken in ALL.items():
        file = str(broken.write(tmp_path))
        main(["fit", "--file", file])
        if case in b.KEYS:
            main(["doctor", "hosts", "--file", file])
        if case in b.KUBECONFIGS:
            main(["doctor", "cluster", "--file", file])
        if case in b.RELEASES:
            with pytest.raises(s.SettingsError):
                s.resolve_release_files(s.read_stack_file(file), tmp_path)
    main(["fit", "--file", "Pulumi.missing.yaml"])
    (tmp_path / "Pulumi.bytes.yaml").write_bytes(b"\xff")
    main(["fit", "--file", "Pulumi.bytes.yaml"])
    with pytest.raises(s.SettingsError):  # only the program sees what a secret holds
        s.check_secrets({"registryCredentials": "AAAB"})
    capsys.readouterr()
    assert spoke and list(rules())
    silent = [
        f"{Path(file).relative_to(ROOT)}:{lines.start}"
        for file, lines in rules()
        if not any(name == file and line in lines for name, line in spoke)
    ]
    assert not silent, f"rules without a broken file in tests/data/broken_files.py: {', '.join(silent)}"
