"""The operator's releases: upgrades with their CRDs, unsupported and interrupted upgrades, a lost state."""

import base64
import gzip
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from rehearsal import process
from rehearsal.lab import machine_records
from rehearsal.lab.engine import ROOT
from rehearsal.lab.fixture import StackFixture, stack_config, stack_fixture
from rehearsal.progress import Progress

NODE = "gpu-1"
OPERATOR = ("--namespace", "gpu-operator")
TROUBLESHOOTING = ROOT / "docs/guides/troubleshooting.md"
CRDS = {file.stem for file in (ROOT / "rehearsal/simulators/chart/crds").iterdir()}
RELEASES = "owner=helm,name=gpu-operator"


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StackFixture]:
    config = stack_config("single")
    config["pools"]["box"]["hosts"] = {NODE: "10.77.0.90"}
    config["gpuOperator"]["chart"] = chart(tmp_path_factory.mktemp("old"), "v25.3.4")
    with stack_fixture("box", tmp_path_factory.mktemp("box"), config) as one:
        yield one


def chart(folder: Path, version: str) -> str:
    """A copy of the stand-in chart with another version, whose CRD has a field with the version as its
    name.
    """
    copy = Path(shutil.copytree(ROOT / "rehearsal/simulators/chart", folder / "chart"))
    about, crd = copy / "Chart.yaml", copy / "crds/clusterpolicies.nvidia.com.yaml"
    about.write_text(about.read_text().replace("v26.7.0", version))
    kind = yaml.safe_load(crd.read_text())
    fields(kind)[version] = {"type": "string"}
    crd.write_text(yaml.safe_dump(kind))
    return str(copy)


def fields(crd: dict[str, Any]) -> dict[str, Any]:
    """The fields of a ClusterPolicy's spec in the CRD."""
    return crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]


def revisions(cluster: StackFixture) -> dict[str, str]:
    """The status of the release by revision."""
    found = cluster.get("secrets", *OPERATOR, "--selector", RELEASES)["items"]
    return {one["metadata"]["labels"]["version"]: one["metadata"]["labels"]["status"] for one in found}


def test_unsupported_operator_upgrade_is_refused_at_preview(cluster: StackFixture, tmp_path: Path):
    cluster.start_machines()
    cluster.up()
    cluster.config["gpuOperator"]["chart"] = chart(tmp_path, "v26.3.3")
    for operation in (cluster.preview, cluster.up):
        said = cluster.expect_failure(operation)
        assert "v26.3.3, where v25.3.4 is installed" in said
        assert "version: v25.10.x, then v26.3.3, an up after each" in said
    assert revisions(cluster) == {"1": "deployed"}


def test_operator_upgrades_one_major_release_with_its_crds(cluster: StackFixture, tmp_path: Path):
    cluster.config["gpuOperator"]["chart"] = chart(tmp_path, "v25.10.1")
    cluster.up()
    assert revisions(cluster)["2"] == "deployed"
    known = fields(cluster.get("crd", "clusterpolicies.nvidia.com"))
    assert "v25.10.1" in known and "v25.3.4" not in known
    gate = cluster.resources()["command:local:Command gpu-sharing-ready"]
    assert ", revision 2, " in gate["inputs"]["environment"]["K3SGPU_OFFER_SOURCES"]


def interrupt_upgrade(cluster: StackFixture) -> None:
    """Puts the release into the state that a client leaves when it is killed during an upgrade."""
    name = "sh.helm.release.v1.gpu-operator.v"
    secret = cluster.get("secret", *OPERATOR, f"{name}2")
    release: dict[str, Any] = json.loads(
        gzip.decompress(base64.b64decode(base64.b64decode(secret["data"]["release"])))
    )
    release["version"], release["info"]["status"] = 3, "pending-upgrade"
    packed = base64.b64encode(gzip.compress(json.dumps(release).encode()))
    labels = secret["metadata"]["labels"] | {"version": "3", "status": "pending-upgrade"}
    metadata = {"name": f"{name}3", "namespace": "gpu-operator", "labels": labels}
    data = {"release": base64.b64encode(packed).decode()}
    body = {"apiVersion": "v1", "kind": "Secret", "type": secret["type"], "metadata": metadata, "data": data}
    cluster.kubectl("create", "--filename", "-", stdin=json.dumps(body))


def test_printed_remedy_repairs_an_interrupted_operator_upgrade(cluster: StackFixture, tmp_path: Path):
    interrupt_upgrade(cluster)
    cluster.config["gpuOperator"] |= {"chart": chart(tmp_path, "v26.3.3"), "removeCrds": True}
    said = cluster.expect_failure(cluster.up)
    assert "an operation on the release gpu-operator/gpu-operator was cut off" in said
    selector = "owner=helm,name=gpu-operator,status in (pending-install,pending-upgrade,pending-rollback)"
    assert f"kubectl --namespace gpu-operator delete secret -l '{selector}'" in said
    cluster.kubectl(*OPERATOR, "delete", "secret", "-l", selector)
    cluster.up()
    assert revisions(cluster)["3"] == "deployed"
    assert cluster.get("node", NODE)["status"]["allocatable"]["nvidia.com/gpu"] == "6"


def test_value_that_breaks_the_plugin_fails_every_up_until_it_is_mended(cluster: StackFixture):
    """Only the Release changes: expected state, sharing configurations and labels stay as they are."""
    operator = cluster.config["gpuOperator"]
    bogus = {"devicePlugin": {"env": [{"name": "DEVICE_ID_STRATEGY", "value": "bogus"}]}}
    operator.update(values=bogus, readyTimeoutSeconds=30)
    for _ in range(2):
        said = cluster.expect_failure(cluster.up)
        assert re.search(r"nvidia\.com/gpu\n +found: +0\n +expected: 6", said)
        assert "invalid --device-id-strategy option: bogus" in said
    del operator["values"], operator["readyTimeoutSeconds"]
    cluster.up()
    assert cluster.get("node", NODE)["status"]["allocatable"]["nvidia.com/gpu"] == "6"
    assert set(cluster.up()) == {"same"}


def test_crds_are_removed_on_request_and_installed_again(cluster: StackFixture):
    cluster.config["gpuOperator"]["enabled"] = False
    workloads, cluster.config["workloads"] = cluster.config["workloads"], {}
    cluster.up()
    found = {crd["metadata"]["name"] for crd in cluster.get("crd")["items"]}
    assert found & CRDS == {"computedomains.resource.nvidia.com", "computedomaincliques.resource.nvidia.com"}
    cluster.config["gpuOperator"]["enabled"] = True
    cluster.config["workloads"] = workloads
    cluster.up()
    assert cluster.get("node", NODE)["status"]["allocatable"]["nvidia.com/gpu"] == "6"


def test_documented_recovery_from_a_lost_state_restarts_no_k3s(
    cluster: StackFixture, monkeypatch: pytest.MonkeyPatch
):
    """Follows docs/guides/troubleshooting.md: only the operator's release cannot be taken over."""
    start = "systemctl show --property InvocationID --value k3s"
    (machine,) = machine_records.recorded("box")
    before = cluster.run_on(machine, start)
    shutil.rmtree(cluster.stack.folder / "engine")
    cluster.stack.install_plugins(cluster.tools, Progress())
    (row,) = re.findall(r"^\| the state is lost \|.*", TROUBLESHOOTING.read_text(), re.MULTILINE)
    (uninstall,), ((name, value),) = (
        re.findall(r"`helm (.+?)`", row),
        re.findall(r"`(\w+)=(\w+) pulumi up`", row),
    )
    process.run(
        [cluster.tools.helm, *uninstall.split(), "--kubeconfig", cluster.stack.kubeconfig], timeout=120
    )
    monkeypatch.setenv(name, value)
    assert set(cluster.up()) == {"create"}
    assert revisions(cluster) == {"1": "deployed"} and cluster.run_on(machine, start) == before
    assert cluster.get("node", NODE)["status"]["allocatable"]["nvidia.com/gpu"] == "6"
    monkeypatch.delenv(name)
    assert cluster.up()["update"] == 1, "the Provider, which takes nothing over any more"
    assert set(cluster.up()) == {"same"}
