"""The workflows: their rules, and the scripts that they run, here without machines, keys and secrets."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tools.program_files import program_files

ROOT = Path(__file__).resolve().parents[3]
FOLDER = ROOT / ".github" / "workflows"
NAMES = ("check", "drift", "preview")
# action.yml of pulumi/actions v7.0.0. GitHub only warns of an input that an action does not have.
PULUMI_INPUTS = set(
    "command stack-name cloud-url policyPacks comment-on-pr comment-on-pr-number comment-on-summary"
    " edit-pr-comment always-include-summary suppress-outputs color refresh expect-no-changes".split()
)


def workflow(name: str) -> dict[str, Any]:
    """A workflow file."""
    return yaml.safe_load((FOLDER / f"{name}.yml").read_text())


def jobs(name: str) -> dict[str, Any]:
    """The jobs of a workflow."""
    return workflow(name)["jobs"]


def steps(name: str) -> list[dict[str, Any]]:
    """All steps of a workflow."""
    return [step for job in jobs(name).values() for step in job["steps"]]


def test_every_workflow_is_tested() -> None:
    assert sorted(file.stem for file in FOLDER.iterdir()) == list(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_actions_are_pinned_by_commit_hash(name: str) -> None:
    used = re.findall(r"uses: (.*)", (FOLDER / f"{name}.yml").read_text())
    assert used and all(re.fullmatch(r"[a-z/-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", one) for one in used)


def test_an_action_has_one_hash_in_all_workflows() -> None:
    used = {step["uses"] for name in NAMES for step in steps(name) if "uses" in step}
    assert len(used) == len({one.partition("@")[0] for one in used})


@pytest.mark.parametrize("name", NAMES)
def test_every_job_has_a_deadline_and_may_only_read(name: str) -> None:
    assert all(job["timeout-minutes"] for job in jobs(name).values())
    assert workflow(name)["permissions"] == {"contents": "read"}


@pytest.mark.parametrize("name", ["drift", "preview"])
def test_pulumi_previews_with_inputs_that_its_action_has(name: str) -> None:
    (inputs,) = [step["with"] for step in steps(name) if step.get("uses", "").startswith("pulumi/actions@")]
    assert inputs["command"] == "preview" and inputs.keys() <= PULUMI_INPUTS


@pytest.mark.parametrize("name", NAMES)
def test_secrets_are_given_only_to_steps_that_run_pulumi(name: str) -> None:
    assert "secrets." not in yaml.safe_dump(
        [workflow(name).get("env", {}), [job.get("env", {}) for job in jobs(name).values()]]
    )
    holders = [step for step in steps(name) if "secrets." in yaml.safe_dump(step)]
    assert all("pulumi" in step.get("uses", "") + step.get("run", "") for step in holders)


def test_check_workflow_runs_the_commands_of_the_ci_script() -> None:
    commands = [step["run"] for step in steps("check") if step.get("run", "").startswith("make")]
    assert commands == ["make check", "make test"]
    assert set(commands) < set((ROOT / ".ci/run").read_text().splitlines())


def test_forks_get_no_secret_and_branches_one_comment() -> None:
    text = (FOLDER / "preview.yml").read_text()
    assert "pull_request_target" not in text
    summary, preview = jobs("preview")["summary"], jobs("preview")["preview"]
    assert "secrets." not in yaml.safe_dump(summary) and "permissions" not in summary
    assert "head.repo.full_name == github.repository" in preview["if"]
    assert preview["permissions"] == {"contents": "read", "pull-requests": "write"}
    pulumi = preview["steps"][-1]["with"]
    assert pulumi["comment-on-pr"] and pulumi["edit-pr-comment"] and pulumi["policyPacks"] == "policy"
    assert not pulumi.get("refresh"), "that would need the cluster"


def test_packages_are_installed_by_their_hashes() -> None:
    texts = [step["run"] for name in NAMES for step in steps(name) if "pip install" in step.get("run", "")]
    texts.append((ROOT / "rehearsal/toolchain/venv.sh").read_text())
    installs = [line for text in texts for line in text.splitlines() if "pip install" in line]
    assert len(installs) == 2 and all("--require-hashes" in line for line in installs)


def test_every_file_of_the_program_is_watched() -> None:
    """What ends in a Command's text, a plan or a policy, whichever folder it is in."""
    found = set(program_files(ROOT))
    tracked = git(
        ROOT, "ls-files", "components", "stack", "policy/*.py", "k3sgpu/hosts/scripts/**", "k3sgpu/*.json"
    )
    assert set(tracked.splitlines()) <= found


@pytest.mark.parametrize("name", NAMES)
def test_no_expression_is_expanded_inside_a_shell_command(name: str) -> None:
    assert not [step["run"] for step in steps(name) if "${{" in step.get("run", "")]


def git(folder: Path, *arguments: str) -> str:
    """git's stdout, with an author of its own."""
    author = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    done = subprocess.run(
        ["git", *author, *arguments], cwd=folder, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with two stacks, a program that imports one of two modules, and a commit."""
    for file in (".ci/stacks", "tools/__init__.py", "tools/program_files.py"):
        (tmp_path / file).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / file, tmp_path / file)
    files = {"__main__.py": "from parts import used\n", "policy/__main__.py": "", "parts/__init__.py": ""}
    files |= dict.fromkeys(("parts/used.py", "parts/unused.py", "parts/script.sh", "README.md"), "")
    files |= {"parts/shell/included.sh": ""}
    files |= dict.fromkeys(("Pulumi.yaml", "Pulumi.dev.yaml", "Pulumi.lab.yaml"), "")
    for file, text in files.items():
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).write_text(text)
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "--quiet", "-m", "base")
    return tmp_path


@pytest.mark.parametrize(
    ("changed", "stacks"),
    [
        (["README.md"], []),
        (["Pulumi.lab.yaml"], ["lab"]),
        (["Pulumi.new.yaml", "README.md"], ["new"]),
        (["Pulumi.a b.yaml", "Pulumi.$(id).yaml"], []),
        (["parts/used.py"], ["dev", "lab"]),
        (["parts/script.sh"], ["dev", "lab"]),
        (["parts/shell/included.sh"], ["dev", "lab"]),
        (["parts/unused.py"], []),
        (["Pulumi.yaml"], ["dev", "lab"]),
    ],
    ids=lambda value: ",".join(value) or "none",
)
def test_stacks_that_a_pull_request_changes(repository: Path, changed: list[str], stacks: list[str]) -> None:
    base = git(repository, "rev-parse", "HEAD")
    for file in changed:
        (repository / file).write_text("# changed\n")
    git(repository, "add", ".")
    git(repository, "commit", "--quiet", "-m", "change")
    environment = {**os.environ, "PYTHON": sys.executable}
    done = subprocess.run(
        [".ci/stacks", base], cwd=repository, env=environment, capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout or "[]") == stacks


def test_plan_summary_needs_no_keys_machines_or_secrets(tmp_path: Path) -> None:
    for entry in ROOT.iterdir():
        if entry.name not in (".ci", ".rehearsal", ".git") and not entry.match("Pulumi.*.yaml"):
            (tmp_path / entry.name).symlink_to(entry)
    shutil.copytree(ROOT / ".ci", tmp_path / ".ci")
    good = (ROOT / "Pulumi.dev.yaml").read_text()
    (tmp_path / "Pulumi.dev.yaml").write_text(good)
    (tmp_path / "Pulumi.lab.yaml").write_text(good.replace("gpus: 2", "gpus: 4"))
    done = subprocess.run(
        [".ci/plan-summary", "dev", "lab"],
        cwd=tmp_path,
        env={**os.environ, "PYTHON": sys.executable},
        capture_output=True,
        text=True,
        timeout=120,
    )
    dev, lab = done.stdout.split("## lab")
    assert done.returncode == 1, "lab does not fit"
    assert "4 of 6 slices taken" in dev and "stack dev, 2" in dev and "no policy is broken" in dev
    assert "cluster-agent-gpu-1" in dev and "gpu-sharing-ready" in dev
    assert "Insufficient nvidia.com/gpu" in lab and "Traceback" not in done.stdout
