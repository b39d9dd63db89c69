"""The components' plain functions: values in, values out."""

import base64
import json
from datetime import UTC, datetime, timedelta

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import Encoding

from components import error_hints, operator_hooks
from components.gpu_operator import chart_values, overlay
from components.kubeconfig import expiry_warning, kubeconfig_for
from components.operator_hooks import MAJOR_RELEASES, upgrade_problem
from components.ssh_connection import connection

KUBECONFIG = """
apiVersion: v1
clusters:
- {name: default, cluster: {server: "https://127.0.0.1:6443", certificate-authority-data: ZGVmYXVsdA==}}
contexts: [{name: default, context: {cluster: default, user: default}}]
current-context: default
users: [{name: default, user: {client-key-data: bG9jYWxob3N0}}]
"""


def test_kubeconfig_gets_the_servers_address_and_the_clusters_name():
    config = yaml.safe_load(kubeconfig_for(KUBECONFIG, "10.0.0.1", "lab"))
    assert config["clusters"] == [
        {
            "name": "lab",
            "cluster": {"server": "https://10.0.0.1:6443", "certificate-authority-data": "ZGVmYXVsdA=="},
        }
    ]
    assert config["contexts"] == [{"name": "lab", "context": {"cluster": "lab", "user": "lab"}}]
    assert config["current-context"] == "lab"
    assert config["users"] == [{"name": "lab", "user": {"client-key-data": "bG9jYWxob3N0"}}]


@pytest.mark.parametrize("text", ["", "hello", "{clusters: []}", "{clusters: [{}]}", "a: [", "[1]"])
def test_invalid_kubeconfig_is_refused_without_being_quoted(text: str):
    with pytest.raises(ValueError, match=r"k3s\.yaml") as refusal:
        kubeconfig_for(text, "10.0.0.1", "lab")
    assert text == "" or text not in str(refusal.value)


def test_overlay_merges_maps_and_replaces_lists():
    base = {"driver": {"enabled": True, "version": "580"}, "list": [1, 2], "kept": 1}
    top = {"driver": {"enabled": False}, "list": [3]}
    assert overlay(base, top) == {"driver": {"enabled": False, "version": "580"}, "list": [3], "kept": 1}
    assert base["driver"] == {"enabled": True, "version": "580"}


def test_chart_values_disable_mig_manager_and_set_containerd_socket():
    values = chart_values(
        {
            "namespace": "gpu-operator",
            "release": "gpu-operator",
            "adopted": False,
            "version": "v26.3.3",
            "chart": "gpu-operator",
            "driver": False,
            "toolkit": True,
            "remove_crds": False,
            "values": {
                "dcgmExporter": {"enabled": False},
                "toolkit": {"env": [{"name": "A", "value": "b"}]},
            },
            "tolerations": {"daemonsets": {"tolerations": [{"operator": "Exists"}]}},
            "timeout_seconds": 1,
        }
    )
    assert values == {
        "dcgmExporter": {"enabled": False},
        "driver": {"enabled": False},
        "toolkit": {
            "enabled": True,
            "env": [
                {"name": "A", "value": "b"},
                {"name": "CONTAINERD_SOCKET", "value": "/run/k3s/containerd/containerd.sock"},
                {"name": "ACCEPT_NVIDIA_VISIBLE_DEVICES_ENVVAR_WHEN_UNPRIVILEGED", "value": "false"},
            ],
        },
        "mig": {"strategy": ""},
        "migManager": {"enabled": False},
        "daemonsets": {"tolerations": [{"operator": "Exists"}]},
    }


def test_connection_without_a_host_key_is_refused():
    with pytest.raises(ValueError, match=r"10\.0\.0\.1"):
        connection(address="10.0.0.1", user="root", port=22, host_key=" ", private_key="key")


def certificate_until(ends: datetime) -> str:
    key = ed25519.Ed25519PrivateKey.generate()
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "system:admin")])
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(ends - timedelta(days=365))
        .not_valid_after(ends)
        .sign(key, None)
    )
    return base64.b64encode(built.public_bytes(Encoding.PEM)).decode()


@pytest.mark.parametrize(("days", "warned"), [(61, False), (59, True), (-1, True)])
def test_certificate_that_ends_within_60_days_is_reported(days: int, warned: bool):
    now = datetime(2026, 1, 1, tzinfo=UTC)
    user = {"client-certificate-data": certificate_until(now + timedelta(days=days))}
    text = expiry_warning(yaml.safe_dump({"users": [{"user": user}]}), "Replace it.", now=now)
    assert (text is not None) == warned
    if text:
        assert f"{now + timedelta(days=days):%Y-%m-%d}" in text and text.endswith("Replace it.")


def test_invalid_certificate_is_not_reported():
    broken = {"users": [{"user": {"client-certificate-data": "QQ=="}}]}
    assert expiry_warning(yaml.safe_dump(broken), "Replace it.") is None


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("v26.3.3", "v26.3.3"),
        ("v26.3.0", "v26.3.3"),
        ("v26.3.3", "v26.3.1"),
        ("v25.10.1", "v26.3.3"),
        ("v26.3.3", "v26.7.0"),
        ("v26.7.0", "v27.1.0"),  # newer than this program: no release between them is known
        (None, "v26.3.3"),
        ("v1.0.0-devel", "v1.0.1"),
    ],
)
def test_upgrade_that_nvidia_supports_is_allowed(old: str | None, new: str):
    assert upgrade_problem(old, new) is None


@pytest.mark.parametrize(
    ("old", "new", "remedies"),
    [
        (
            "v22.9.0",
            "v23.6.1",
            ["version: v23.3.x, then v23.6.1, an up after each", "remove the operator first"],
        ),
        (
            "v25.3.4",
            "v26.7.0",
            ["version: v25.10.x, then v26.3.x, then v26.7.0", "then {version: v26.7.0}, up"],
        ),
        ("v26.3.3", "v27.1.0", ["version: v26.7.x, then v27.1.0"]),
        ("v26.7.0", "v26.3.3", ["remove the operator first"]),
    ],
)
def test_upgrade_that_nvidia_does_not_support_is_refused(old: str, new: str, remedies: list[str]):
    problem = upgrade_problem(old, new)
    assert problem and problem.found == f"{new}, where {old} is installed"
    assert all(remedy in problem.remedy for remedy in remedies)
    assert ("one major release at a time" in problem.remedy) == (old < new)


def test_major_releases_are_in_order():
    assert list(MAJOR_RELEASES) == sorted(set(MAJOR_RELEASES))


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (
            "UPGRADE FAILED: another operation (install/upgrade/rollback) is in progress",
            "delete secret -l 'owner=helm,name=op,status in (pending-install,pending-upgrade,",
        ),
        ("cannot re-use a name that is still in use", "helm --namespace ns uninstall op"),
        ("cannot reuse a name that is still in use", "helm --namespace ns uninstall op"),
        ("cannot re-use a name that is still in use", "| gunzip | grep -o 'Pulumi stack p/lab'"),
        ("cannot re-use a name that is still in use", "kubectl --namespace ns delete secret -l owner=helm"),
        (
            'ClusterPolicy "cluster-policy" exists and cannot be imported into the current release',
            "kubectl delete clusterpolicy cluster-policy",
        ),
        (
            'ClusterRole "gpu-operator" exists and cannot be imported into the current release',
            "helm --namespace NAMESPACE uninstall NAME",
        ),
    ],
)
def test_helm_error_that_blocks_the_release_has_a_hint(error: str, expected: str):
    text = operator_hooks.explain(["x", error], "ns", "op", "Pulumi stack p/lab") or ""
    assert text.startswith("gpuOperator\n  found:    ") and "\n  remedy:   " in text and expected in text


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        ("after 4 failed attempts: dial tcp 10.0.0.2:22: i/o timeout", "doctor hosts --file Pulumi.lab.yaml"),
        ("wait: remote command exited without exit status or exit signal", "up again"),
        ("the configured Kubernetes cluster is unreachable: connection refused", "systemctl status k3s"),
        ('no matches for kind "ClusterPolicy" in version "nvidia.com/v1"', "then refresh, then up"),
        (
            'ClusterPolicy.nvidia.com "cluster-policy" is invalid: [spec.operator: Required value, ...',
            "somebody has deleted the ClusterPolicy, and with it the operator's settings\n  expected: ",
        ),
        ('namespaces "gpu-operator" already exists', "helm --namespace gpu-operator uninstall NAME"),
        ('namespaces "gpu-operator" already exists', "docs/guides/adopt.md takes it over"),
        ('deployments.apps "nvidia-plugin-test-2" already exists', "kubectl delete it"),
    ],
)
def test_error_of_a_plugin_has_a_hint(error: str, expected: str):
    text = error_hints.explain(["x", error], "cluster-agent-gpu-1", "lab") or ""
    assert (
        text.startswith("cluster-agent-gpu-1\n  found:    ") and "\n  remedy:   " in text and expected in text
    )


def failed_command(output: str, script: str = 'echo "connection lost"\n' * 100) -> str:
    """The error of pulumi-command: Go's quotes are JSON's for such a script."""
    return f"Process exited with status 1: running {json.dumps(script)}:\n{output}"


FULL_DISK = """\
x
  found:    gpu-1: the disk is full
  expected: a script that runs to its end
  remedy:   see df -h
            or ask"""


@pytest.mark.parametrize(
    ("output", "text"),
    [
        (
            "journal line\n  of k3s\ngpu-1: the disk is full\n  remedy: see df -h\n    or ask\n",
            FULL_DISK,
        ),
        ("/bin/sh: 1: \x1b[2Jno\n", "x\n  found:    /bin/sh: 1: \\x1b[2Jno\n"),
        ("::error::no\n", "x\n  found:    \\x3a:error::no\n"),
        ("", "x\n  found:    nothing was printed\n"),
    ],
)
def test_last_lines_of_a_long_script_stand_alone(output: str, text: str):
    assert (error_hints.explain([failed_command(output)], "x", "lab") or "").startswith(text)


def test_script_that_is_short_explains_itself():
    assert (
        error_hints.explain([failed_command("doctor hosts: 1 error", "sh run.sh doctor")], "x", "lab") is None
    )


def test_connection_that_is_lost_during_a_script_has_its_hint():
    error = failed_command("").replace("Process exited with status 1", "wait: ended without exit status")
    assert "there was no connection to its host" in (error_hints.explain([error], "x", "lab") or "")


def test_error_that_explains_itself_has_no_hint():
    assert error_hints.explain(["Process exited with status 1"], "cluster-agent-gpu-1", "lab") is None
    assert operator_hooks.explain(["timed out waiting for the condition"], "ns", "op", "x") is None
