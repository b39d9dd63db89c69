"""The text of an adopted cluster's stack file."""

import yaml

from k3sgpu.adoption.existing_cluster import describe_cluster
from k3sgpu.adoption.stack_file import stack_file_text
from tests.data.adopted_cluster import KEY, SIX, node, objects, record


def test_text_holds_the_sections_and_comments():
    values = {"driver": {"enabled": False}, "dcgmExporter": {"env": [{"name": "A", "value": "yes"}]}}
    found = objects(
        record(values=values), data={KEY: SIX, "b": SIX}, nodes=(node(), node("gpu-2", config="b"))
    )
    draft = describe_cluster(found, {"file": "~/.kube/config", "context": "on"})
    text = stack_file_text(draft.sections)
    config = yaml.safe_load(text)["config"]
    assert {key.partition(":")[2]: section for key, section in config.items()} == draft.sections
    assert "# Helm's name of it" in text and text.startswith("# yaml-language-server:")
    assert "&" not in text and "!!" not in text
