"""Manifests of all stack files against a real API server: strict schema validation, and the chart's CRD."""

import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from rehearsal.lab.engine import ROOT
from rehearsal.progress import Progress
from rehearsal.tests.e2e.controlplane import control_plane
from rehearsal.toolchain import toolbox
from tools.plan import planned

EXAMPLES = sorted((ROOT / "docs/examples").glob("Pulumi.*.yaml"))
STACKS = [*EXAMPLES, ROOT / "Pulumi.dev.yaml", ROOT / "Pulumi.single.yaml"]
CHART = ROOT / "rehearsal/simulators/chart"
SECONDS = 60


@dataclass(frozen=True)
class Judge:
    """A control plane, and kubectl and helm for it."""

    tools: toolbox.Tools
    kubeconfig: Path

    def run(self, tool: Path, *arguments: str, given: Any = None) -> str:
        done = subprocess.run(
            [tool, "--kubeconfig", self.kubeconfig, *arguments],
            input=json.dumps(given) if given else None,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        assert done.returncode == 0, f"{arguments}\n{json.dumps(given, indent=1)}\n{done.stderr}"
        return done.stdout

    def accepts(self, thing: dict[str, Any]) -> None:
        """The API server takes it, without an unknown field."""
        judged = ("--server-side", "--dry-run=server", "--validate=strict", "--force-conflicts")
        self.run(self.tools.kubectl, "apply", *judged, "--filename", "-", given=thing)


@pytest.fixture(scope="module")
def judge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Judge]:
    tools = toolbox.prepare(Progress())
    folder = tmp_path_factory.mktemp("judge")
    with control_plane(folder, tools.bin) as running:
        kubeconfig = folder / "kubeconfig"
        kubeconfig.write_text(running.kubeconfig)
        one = Judge(tools, kubeconfig)
        crds = [str(crd) for crd in sorted((CHART / "crds").iterdir())]
        one.run(tools.kubectl, "create", *(word for crd in crds for word in ("--filename", crd)))
        one.run(tools.kubectl, "wait", "--for=condition=Established", "crd", "--all", f"--timeout={SECONDS}s")
        one.run(tools.kubectl, "create", "namespace", "gpu-operator")
        one.run(tools.helm, "upgrade", "--install", "there", str(CHART), "--namespace", "gpu-operator")
        yield one


@pytest.mark.parametrize("file", STACKS, ids=lambda file: file.stem.removeprefix("Pulumi."))
def test_api_server_accepts_the_manifests_of_a_stack_file(judge: Judge, file: Path):
    judged = 0
    for one in planned(file, "judged"):
        if not one.type.startswith("kubernetes:") or one.type.endswith(":Release"):
            continue
        assert one.inputs["kind"] == one.type.rsplit(":", 1)[1].removesuffix("Patch")
        thing = {**one.inputs, "metadata": metadata(one.inputs["metadata"])}
        judge.accepts(thing)
        if thing["kind"] == "Namespace":  # what lies in it is judged only where it exists
            judge.run(
                judge.tools.kubectl,
                "apply",
                "--server-side",
                "--force-conflicts",
                "--filename",
                "-",
                given=thing,
            )
        judged += 1
    assert judged >= 5  # namespace, files, policy, a node, a workload


def metadata(given: dict[str, Any]) -> dict[str, Any]:
    """Without the engine's own annotations."""
    annotations = {k: v for k, v in given.get("annotations", {}).items() if not k.startswith("pulumi.com/")}
    return {**given, "annotations": annotations}


@pytest.mark.parametrize("file", STACKS, ids=lambda file: file.stem.removeprefix("Pulumi."))
def test_api_server_accepts_the_manifests_of_the_chart(judge: Judge, file: Path):
    (release,) = (one for one in planned(file, "judged") if one.type.endswith(":Release"))
    values = ("--namespace", "gpu-operator", "--values", "-")
    text = judge.run(judge.tools.helm, "template", release.inputs["name"], str(CHART), *values,
                     given=release.inputs["values"])  # fmt: skip
    for thing in filter(None, yaml.safe_load_all(text)):
        judge.accepts(thing)


@pytest.mark.parametrize(
    ("thing", "words"),
    [
        (
            {"apiVersion": "nvidia.com/v1", "kind": "ClusterPolicy", "metadata": {"name": "cluster-policy"},
             "spec": {"devicePlugin": {"config": {"default": 4}}}},
            r"devicePlugin\.config\.default",
        ),
        (
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "files", "namespace": "default"},
             "dta": {"none": ""}},
            "dta",
        ),
    ],
)  # fmt: skip
def test_api_server_rejects_unknown_and_mistyped_fields(judge: Judge, thing: dict[str, Any], words: str):
    with pytest.raises(AssertionError, match=words):
        judge.accepts(thing)
