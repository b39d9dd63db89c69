"""Each broken stack file gets its one problem, and every place that makes a Problem has a broken file."""

import ast
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pulumi
import pytest

from k3sgpu import capacity
from k3sgpu import settings as s
from k3sgpu.cli.main import main
from k3sgpu.settings.files.stack_file import read_keys
from k3sgpu.settings.models import grammar
from tests.data import broken_files as b
from tests.data.field_values import VALUES
from tests.data.stack_files import with_
from tools import mocked_program

ROOT = Path(__file__).resolve().parents[3]
REFUSED_FILES = b.EXISTING | b.UNREADABLE | b.SECRETS
UNUSABLE_FILES = b.KEYS | b.KUBECONFIGS | b.RELEASES | b.CHARTS
ALL = b.REFUSED | REFUSED_FILES | UNUSABLE_FILES | b.PENDING | b.WARNINGS


def find_problems(case: str, folder: Path) -> list[s.Problem]:
    """The problems of a broken file, from the function that finds them."""
    file = ALL[case].write(folder)
    try:
        settings = s.read_stack_file(file)
        if case in b.KEYS:
            s.resolve_ssh(settings, folder)
        if case in b.KUBECONFIGS:
            s.resolve_kubeconfig(settings, folder)
        if case in b.RELEASES:
            s.resolve_release_files(settings, folder)
        if case in b.CHARTS:
            s.check_local_chart(settings, folder)
    except s.SettingsError as error:
        return list(error.problems)
    return list(capacity.fit(settings, capacity.offers(settings)).problems)


def check(broken: b.Broken, problem: s.Problem) -> None:
    assert broken.path in problem.where
    assert broken.found in problem.found
    assert broken.expected in problem.expected
    assert broken.remedy in problem.remedy


@pytest.mark.parametrize("case", REFUSED_FILES | b.KEYS | b.KUBECONFIGS | b.CHARTS | b.PENDING)
def test_broken_file_gets_its_one_error(case: str, tmp_path: Path) -> None:
    (problem,) = find_problems(case, tmp_path)
    check(ALL[case], problem)
    assert problem.severity == "error"


@pytest.mark.parametrize("case", b.RELEASES)
def test_missing_release_gets_an_error_for_each_file(case: str, tmp_path: Path) -> None:
    found = find_problems(case, tmp_path)
    check(ALL[case], next(problem for problem in found if ALL[case].found in problem.found))


@pytest.mark.parametrize("case", b.WARNINGS)
def test_doubtful_file_gets_its_one_warning(case: str, tmp_path: Path) -> None:
    (problem,) = find_problems(case, tmp_path)
    check(ALL[case], problem)
    assert problem.severity == "warning"


# A few through the commands and the whole program


def check_text(broken: b.Broken, text: str) -> None:
    """All four parts of the problem are in what the user reads."""
    unwrapped = "\n".join(line.removeprefix(" " * 12) for line in text.splitlines())
    for piece in (broken.path, broken.found, broken.expected, broken.remedy):
        assert piece in unwrapped
    assert "Traceback" not in text


@pytest.mark.parametrize(
    ("case", "status"),
    [
        ("a quoted number", 2),
        ("mps beside timeSlicing", 2),
        ("an open bracket", 2),
        ("an encrypted section", 2),
        ("a role beside it", 2),
        ("too many pods", 1),
        ("more memory than a card has", 0),
    ],
)
def test_fit_prints_the_problem(
    case: str, status: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["fit", "--file", str(ALL[case].write(tmp_path)), "--json"]) == status
    (problem,) = json.loads(capsys.readouterr().out)["problems"]
    check(ALL[case], s.Problem(*(problem[key] for key in ("where", "found", "expected", "remedy"))))


@pytest.mark.parametrize(
    ("command", "case"),
    [
        ("hosts", "a quoted number"),
        ("hosts", "an open bracket"),
        ("hosts", "an unknown machine"),
        ("cluster", "no such kubeconfig"),
    ],
)
def test_doctor_prints_the_problem(
    command: str,
    case: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["doctor", command, "--file", str(ALL[case].write(tmp_path))]) == 2
    check_text(ALL[case], capsys.readouterr().err)


@pytest.mark.parametrize(
    "case",
    [
        "a quoted number",
        "mps beside timeSlicing",
        "a role beside it",
        "a misspelt secret",
        "half a key",
        "too many pods",
        *UNUSABLE_FILES,
    ],
)
def test_program_reports_the_problem_and_registers_nothing(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    plain, secrets = read_keys(ALL[case].write(tmp_path))
    with pytest.raises(pulumi.RunError) as refused:
        mocked_program.run(plain, stack="broken", secrets=dict.fromkeys(secrets, "AAAB"))
    check_text(ALL[case], str(refused.value))


# Coverage


def problem_places() -> Iterator[tuple[str, range]]:
    """Every call in settings and capacity that makes a problem: the file and the lines of the call."""
    for file in sorted([*ROOT.glob("k3sgpu/settings/**/*.py"), *ROOT.glob("k3sgpu/capacity/*.py")]):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("Problem", "refusal"):
                yield str(file), range(node.lineno, (node.end_lineno or node.lineno) + 1)


def test_every_rule_has_a_broken_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    executed: set[tuple[str, int]] = set()

    def remember(depth: int) -> None:
        frame = sys._getframe(depth + 1)
        executed.add((frame.f_code.co_filename, frame.f_lineno))

    make_problem, make_error = s.Problem.__init__, grammar.PydanticCustomError

    def problem(self: s.Problem, *arguments: Any, **more: Any) -> None:
        remember(1)
        make_problem(self, *arguments, **more)

    def error(*arguments: Any) -> Exception:
        remember(2)  # the caller of `refusal`
        return make_error(*arguments)

    monkeypatch.setattr(s.Problem, "__init__", problem)
    monkeypatch.setattr(grammar, "PydanticCustomError", error)
    for case in ALL:
        find_problems(case, tmp_path)
    for place, values in VALUES.items():
        for value in (*values.refused, *values.beyond):
            with pytest.raises(s.SettingsError):
                s.parse(with_({place: value}))
    (tmp_path / "Pulumi.bytes.yaml").write_bytes(b"\xff")
    for name in ("Pulumi.missing.yaml", "Pulumi.bytes.yaml"):
        with pytest.raises(s.SettingsError):
            s.read_stack_file(tmp_path / name)
    with pytest.raises(s.SettingsError):
        s.check_secrets({"registryCredentials": "AAAB"})
    with pytest.raises(s.SettingsError):
        s.check_secrets({"vpnAuth": "AAAB"})
    with pytest.raises(s.SettingsError):
        s.parse({"pools": dict.fromkeys(map(str, range(300)), 5)})
    places = list(problem_places())
    assert len(places) > 100, "the search found too few places"
    missing = [
        f"{Path(file).relative_to(ROOT)}:{lines.start}"
        for file, lines in places
        if not any(name == file and line in lines for name, line in executed)
    ]
    assert not missing, f"rules without a broken file in tests/data/broken_files.py: {', '.join(missing)}"
