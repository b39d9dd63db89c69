"""The stack files of docs/examples: valid, their workloads fit, and their ClusterPolicy fits the CRD."""

from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from k3sgpu import capacity
from k3sgpu import settings as s
from k3sgpu.settings.schema import stack_schema
from tools import mocked_program as g

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "docs/examples"
CRD = ROOT / "rehearsal/simulators/chart/crds/clusterpolicies.nvidia.com.yaml"

FIT = {
    "tesla-t4": {"nvidia.com/gpu": 4},
    "existing": {"nvidia.com/gpu": 6},
    "2080ti-12gb": {"nvidia.com/gpu": 6},
    "jobs": {"nvidia.com/gpu": 8},
    "five-people": {"nvidia.com/gpu": 6},
    "behind-a-proxy": {"nvidia.com/gpu": 6},
    "a100-40gb": {
        "nvidia.com/gpu": 8,
        "nvidia.com/mig-1g.5gb": 4,
        "nvidia.com/mig-2g.10gb": 2,
        "nvidia.com/mig-3g.20gb": 3,
    },
}
"""By example: the resources of all its nodes."""
SKIPPED = {"a100-40gb": {"nvidia.com/mig-7g.40gb"}}
"""By example: resources that its profile shares and that no card has."""


def file_of(example: str) -> Path:
    return EXAMPLES / f"Pulumi.{example}.yaml"


def test_every_example_is_tested():
    assert {path.name for path in EXAMPLES.iterdir()} == {file_of(name).name for name in FIT}


@pytest.mark.parametrize("example", FIT)
def test_example_is_valid_and_its_workloads_fit(example: str):
    jsonschema.Draft7Validator(stack_schema()).validate(yaml.safe_load(file_of(example).read_text()))
    settings = s.read_stack_file(file_of(example))
    fit = capacity.fit(settings, capacity.offers(settings))
    assert fit.fits is True
    offered = {name: 0 for offer in fit.offers for name in offer.resources}
    for offer in fit.offers:
        for name, count in offer.resources.items():
            offered[name] += count
    assert offered == FIT[example]
    assert all(problem.severity == "warning" for problem in fit.problems)
    assert {problem.found.partition(",")[0] for problem in fit.problems} == SKIPPED.get(example, set())
    for name, count in FIT[example].items():
        assert f"of {count} slices taken ({name})" in capacity.render_slice_map(fit)


@pytest.mark.parametrize("example", FIT)
def test_cluster_policy_of_an_example_fits_the_crd(in_project: Path, example: str):
    file = yaml.safe_load(file_of(example).read_text())["config"]
    config = {key.partition(":")[2]: value for key, value in file.items()}
    if "kubeconfig" in config:
        config["kubeconfig"] = {"file": "kubeconfig"}
        (in_project / "kubeconfig").write_text(g.KUBECONFIG)
    graph = g.run(config, stack=example)
    policy = graph.of("gpu-sharing", "ClusterPolicyPatch").inputs
    (version,) = yaml.safe_load(CRD.read_text())["spec"]["versions"]
    schema = version["schema"]["openAPIV3Schema"]
    jsonschema.validate(policy, optional(schema))
    assert not unknown(policy["spec"], schema["properties"]["spec"])
    keys = graph.of("gpu-profiles", "ConfigMap").inputs["data"]
    assert policy["spec"]["devicePlugin"]["config"]["default"] in keys
    for node in (resource for resource in graph if resource.type.endswith(":NodePatch")):
        assert node.inputs["metadata"]["labels"]["nvidia.com/device-plugin.config"] in keys


def unknown(value: Any, schema: dict[str, Any]) -> list[str]:
    """Fields that are not in the schema, which the API server would drop without an error."""
    if not isinstance(value, dict) or "properties" not in schema:
        return []
    known = schema["properties"]
    deeper = (unknown(value[name], known[name]) for name in value.keys() & known.keys())
    return sorted(value.keys() - known.keys()) + [name for names in deeper for name in names]


def optional(schema: Any) -> Any:
    """The schema without required fields: a patch has only the fields that it changes."""
    if isinstance(schema, dict):
        return {
            key: optional(value)
            for key, value in schema.items()
            if key != "required" or not isinstance(value, list)
        }
    return schema
