"""The workflows: what they run is run here, without their host, machines, keys and secrets."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tools import graph, plan

ROOT = Path(__file__).resolve().parents[3]
FOLDER = ROOT / ".github" / "workflows"
NAMES = ("preview", "drift")
# action.yml of pulumi/actions v7.0.0; the host would only warn of another one.
PULUMI_INPUTS = set(
    "command stack-name cloud-url policyPacks comment-on-pr comment-on-pr-number comment-on-summary"
    " edit-pr-comment always-include-summary suppress-outputs color refresh expect-no-changes".split()
)


def jobs(name: str) -> dict[str, Any]:
    """The jobs of a workflow."""
    return yaml.safe_load((FOLDER / f"{name}.yml").read_text())["jobs"]


def steps(name: str) -> list[dict[str, Any]]:
    """All steps of a workflow."""
    return [step for job in jobs(name).values() for step in job["steps"]]


@pytest.mark.parametrize("name", NAMES)
def test_actions_are_pinned_and_known_and_every_job_ends(name: str) -> None:
    used = [step for step in steps(name) if "uses" in step]
    assert all(re.fullmatch(r"[a-z]+/[a-z-]+@v\d+\.\d+\.\d+", step["uses"]) for step in used)
    (ours,) = [step["with"] for step in used if step["uses"].startswith("pulumi/actions@")]
    assert ours["command"] == "preview" and ours.keys() <= PULUMI_INPUTS
    assert all(job["timeout-minutes"] for job in jobs(name).values())


def test_forks_get_no_secret_and_others_one_comment() -> None:
    text = (FOLDER / "preview.yml").read_text()
    assert "pull_request_target" not in text
    told, preview = jobs("preview")["told"], jobs("preview")["preview"]
    assert "secrets." not in yaml.safe_dump(told) and "permissions" not in told
    assert "head.repo.full_name == github.repository" in preview["if"]
    assert preview["permissions"] == {"contents": "read", "pull-requests": "write"}
    pulumi = preview["steps"][-1]["with"]
    assert pulumi["comment-on-pr"] and pulumi["edit-pr-comment"] and pulumi["policyPacks"] == "policy"
    assert not pulumi.get("refresh"), "that would need the cluster"


@pytest.mark.parametrize("name", NAMES)
def test_nothing_of_a_pull_request_is_pasted_into_a_shell(name: str) -> None:
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
    """Two stacks, a program, a commit."""
    (tmp_path / ".ci").mkdir()
    shutil.copy(ROOT / ".ci/stacks", tmp_path / ".ci/stacks")
    (tmp_path / "components").mkdir()
    for file in ("Pulumi.yaml", "Pulumi.dev.yaml", "Pulumi.lab.yaml", "components/a.py", "README.md"):
        (tmp_path / file).write_text("a\n")
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
        (["components/a.py"], ["dev", "lab"]),
        (["Pulumi.yaml"], ["dev", "lab"]),
    ],
    ids=lambda value: ",".join(value) or "none",
)
def test_the_stacks_that_a_pull_request_changes(
    repository: Path, changed: list[str], stacks: list[str]
) -> None:
    base = git(repository, "rev-parse", "HEAD")
    for file in changed:
        (repository / file).write_text("b\n")
    git(repository, "add", ".")
    git(repository, "commit", "--quiet", "-m", "change")
    done = subprocess.run([".ci/stacks", base], cwd=repository, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout or "[]") == stacks


def test_what_a_fork_is_told(tmp_path: Path) -> None:
    """In a checkout without keys, machines and secrets."""
    for entry in ROOT.iterdir():
        if entry.name not in (".ci", ".rehearsal", ".git") and not entry.match("Pulumi.*.yaml"):
            (tmp_path / entry.name).symlink_to(entry)
    shutil.copytree(ROOT / ".ci", tmp_path / ".ci")
    good = (ROOT / "Pulumi.dev.yaml").read_text()
    (tmp_path / "Pulumi.dev.yaml").write_text(good)
    (tmp_path / "Pulumi.lab.yaml").write_text(good.replace("gpus: 2", "gpus: 4"))
    done = subprocess.run(
        [".ci/told", "dev", "lab"], cwd=tmp_path, capture_output=True, text=True, timeout=120
    )
    dev, lab = done.stdout.split("## lab")
    assert done.returncode == 1, "lab does not fit"
    assert "4 of 6 slices taken" in dev and "stack dev, 2" in dev and "no policy is broken" in dev
    assert "cluster-agent-gpu-1" in dev and "gpu-sharing-ready" in dev
    assert "Insufficient nvidia.com/gpu" in lab and "Traceback" not in done.stdout


def test_the_graph_of_the_docs_is_the_programs() -> None:
    drawn = graph.page(plan.planned(ROOT / "Pulumi.dev.yaml", "dev"))
    assert (ROOT / "docs/graph.md").read_text() == drawn, "run make graph"
