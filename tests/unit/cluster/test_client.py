"""The client of a cluster's API, and the kubeconfigs that it takes."""

import json

import pytest

from k3sgpu.cluster.client import client, parse_kubeconfig
from k3sgpu.problem import InputError
from tests.data.kubeconfigs import kubeconfig_text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "is empty"),
        ("just words", "is not a mapping"),
        ("a: [", "is not YAML"),
        ("apiVersion: v1", "cannot be used"),
        ("clusters: []\ncontexts: []\ncurrent-context: x", "Context 'x' not found"),
        (
            (
                "clusters: [{name: c, cluster: {server: 'https://x'}}]\n"
                "contexts: [{name: x, context: {cluster: c}}]\ncurrent-context: x"
            ),
            "names no user",
        ),
    ],
)
def test_kubeconfig_that_cannot_be_used_is_refused(text, expected):
    with pytest.raises(InputError, match=expected):
        parse_kubeconfig(text, "a test")


def test_kubeconfig_with_broken_certificates_is_refused():
    data = json.loads(kubeconfig_text("https://127.0.0.1:1"))
    data["clusters"][0]["cluster"]["certificate-authority-data"] = "bm90IGEgY2VydGlmaWNhdGU="
    with pytest.raises(InputError, match="certificates cannot be used"):
        client(parse_kubeconfig(json.dumps(data), "a test"))
