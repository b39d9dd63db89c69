"""k3sgpu/run.sh: which interpreter it starts."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
INTERPRETER = '#!/bin/sh\nprintf \'%s\\n\' "$0" "$PWD" "$@"\n'


class Project:
    """A project folder with run.sh, and environments whose interpreters print how they were started."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "k3sgpu").mkdir(parents=True)
        shutil.copy(ROOT / "k3sgpu/run.sh", folder / "k3sgpu/run.sh")
        self.name_environment(None)

    def name_environment(self, virtualenv: str | None) -> None:
        """Writes a Pulumi.yaml that names this environment."""
        line = f"    virtualenv: {virtualenv}\n" if virtualenv else ""
        (self.folder / "Pulumi.yaml").write_text(f"name: a\nruntime:\n  options:\n    toolchain: pip\n{line}")

    def environment(self, path: str, *, packages: bool = True) -> str:
        """Makes an environment; its interpreter's path as run.sh names it."""
        python = self.folder / path / "bin/python"
        python.parent.mkdir(parents=True)
        python.write_text(INTERPRETER)
        python.chmod(0o755)
        if packages:
            (self.folder / path / "lib/python3.12/site-packages/asyncssh").mkdir(parents=True)
        return f"{path}/bin/python"

    def run(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        environment = {"PATH": os.environ["PATH"], **variables}
        command = ["sh", self.folder / "k3sgpu/run.sh", *arguments]
        return subprocess.run(command, env=environment, cwd="/", capture_output=True, text=True, timeout=30)

    def started(self, **variables: str) -> str:
        """The interpreter that run.sh started."""
        done = self.run(**variables)
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()[0]


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path / "a project")


def test_arguments_are_passed_on_in_the_project_folder(project: Project) -> None:
    python = project.environment(".venv")
    done = project.run("doctor", "hosts", "--file", "a b.yaml")
    assert done.stdout.splitlines() == [
        python, str(project.folder), "-m", "k3sgpu", "doctor", "hosts", "--file", "a b.yaml"
    ]  # fmt: skip


def test_k3sgpu_python_comes_first(project: Project) -> None:
    chosen = project.environment("chosen", packages=False)
    project.environment(".venv")
    path = str(project.folder / chosen)
    assert project.started(K3SGPU_PYTHON=path, VIRTUAL_ENV=str(project.folder / ".venv")) == path


def test_k3sgpu_python_may_name_a_command(project: Project) -> None:
    folder = project.folder / project.environment("chosen")
    path = f"{folder.parent}:{os.environ['PATH']}"
    assert project.started(K3SGPU_PYTHON="python", PATH=path) == str(folder)


def test_k3sgpu_python_that_does_not_exist_is_an_error(project: Project) -> None:
    project.environment(".venv")
    done = project.run(K3SGPU_PYTHON="/nowhere/python")
    assert (done.returncode, done.stdout) == (2, "")
    assert "K3SGPU_PYTHON is /nowhere/python" in done.stderr


def test_activated_environment_comes_before_the_named_one(project: Project) -> None:
    active = str(project.folder / project.environment("active"))
    project.name_environment("named")
    project.environment("named")
    assert project.started(VIRTUAL_ENV=str(project.folder / "active")) == active


@pytest.mark.parametrize("there", [True, False])
def test_activated_environment_of_another_project_is_ignored(project: Project, there: bool) -> None:
    if there:
        project.environment("active", packages=False)
    python = project.environment(".venv")
    assert project.started(VIRTUAL_ENV=str(project.folder / "active")) == python


@pytest.mark.parametrize("value", ["envs/a b", '"envs/a b"', "'envs/a b'", "envs/a b  # a comment"])
def test_environment_that_pulumi_yaml_names_is_found(project: Project, value: str) -> None:
    project.name_environment(value)
    python = project.environment("envs/a b")
    project.environment(".venv")
    assert project.started() == python


def test_named_environment_may_be_an_absolute_path(project: Project, tmp_path: Path) -> None:
    project.environment("../elsewhere")
    project.name_environment(str(tmp_path / "elsewhere"))
    assert project.started() == str(tmp_path / "elsewhere/bin/python")


def test_dot_venv_is_used_when_the_named_environment_is_missing(project: Project) -> None:
    project.name_environment("missing")
    python = project.environment(".venv")
    assert project.started() == python


def test_missing_environment_is_reported_with_every_place(project: Project) -> None:
    project.name_environment("envs/a")
    done = project.run("fit", VIRTUAL_ENV="/nowhere")
    assert (done.returncode, done.stdout) == (2, "")
    for words in (
        "K3SGPU_PYTHON: not set",
        "VIRTUAL_ENV: /nowhere, ",
        "Pulumi.yaml: envs/a, ",
        ".venv: no bin",
    ):
        assert words in done.stderr
    assert "remedy: make the environment with pulumi install" in done.stderr


def test_real_command_line_starts() -> None:
    done = subprocess.run(
        ["sh", "k3sgpu/run.sh", "--help"],
        env={**os.environ, "K3SGPU_PYTHON": sys.executable},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert done.returncode == 0 and done.stdout.startswith("usage: python -m k3sgpu")
