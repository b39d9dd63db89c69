"""What follows from a valid stack file, and how its problems are collected."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from k3sgpu import settings as s
from tests.data.stack_files import GOOD, REMOVE, RESOURCES, SLICING, problems, the_problem, with_

# Valid files


def test_valid_file_gives_settings() -> None:
    settings = s.parse(GOOD)
    assert [node.name for node in settings.nodes] == ["gpu-1", "server-1"]
    assert settings.server.name == "server-1"
    assert settings.nodes[0].gpu == s.Gpu("NVIDIA-H200", 1, 143771, "six")


def test_host_inherits_login_from_ssh_and_may_override_it() -> None:
    own = {"address": "10.0.0.22", "user": "ubuntu", "port": 2222, "privateKeyFile": "other"}
    settings = s.parse(with_({"ssh/port": 23, "pools/rtx/hosts/gpu-2": own}))
    first, second, _ = settings.nodes
    assert (first.user, first.port, first.private_key_file) == ("root", 23, "key")
    assert (second.user, second.port, second.private_key_file) == ("ubuntu", 2222, "other")


def test_gpu_pool_without_profile_gets_the_default_profile() -> None:
    without = {"pools/rtx/gpu/profile": REMOVE}
    (node, _) = s.parse(with_(without)).nodes
    assert node.gpu and node.gpu.profile == "none"
    (node, _) = s.parse(with_({**without, "sharing/default": "six"})).nodes
    assert node.gpu and node.gpu.profile == "six"


def test_profile_none_always_exists() -> None:
    assert (
        s.parse(GOOD).sharing.profiles["none"]
        == s.parse(with_({"sharing": REMOVE, "pools/rtx/gpu": REMOVE})).sharing.profiles["none"]
    )


def test_install_script_comes_from_local_mirror_or_release_tag() -> None:
    assert s.parse(GOOD).k3s.install_script_url == "file:///opt/release/v1.36.2+k3s1/install.sh"
    public = s.parse(with_({"k3s/mirror": REMOVE, "k3s/installScriptSha256": "a" * 64}))
    assert public.k3s.install_script_url.endswith("/k3s-io/k3s/v1.36.2+k3s1/install.sh")


def test_chart_repository_defaults_to_nvidias_for_a_bare_name() -> None:
    assert str(s.parse(GOOD).gpu_operator.repository).startswith("https://")
    for chart in ("./rehearsal/simulators/chart", "oci://ghcr.io/x/gpu-operator"):
        assert s.parse(with_({"gpuOperator/chart": chart})).gpu_operator.repository is None


def test_resource_without_prefix_gets_nvidias_prefix() -> None:
    slicing = s.parse(with_({f"{SLICING.replace('.', '/')}/resources/0/name": "gpu"})).sharing.profiles["six"]
    assert slicing.time_slicing and slicing.time_slicing.resources[0].name == "nvidia.com/gpu"


def test_settings_are_frozen() -> None:
    with pytest.raises(ValueError):
        s.parse(GOOD).ssh.port = 1


# All at once


def test_problems_of_keys_and_of_rules_are_reported_together() -> None:
    found = problems(
        {
            "k3s/version": "latest",
            "k3s/config": {"token": "x"},
            "fit": "maybe",
            f"{RESOURCES}/0/replicas": 1,
            "pools/rtx/gpu/profile": "nine",
            "pools/control/hosts/server-2": "10.0.0.21",
        }
    )
    assert set(found) == {
        "k3s.version",
        "k3s.config.token",
        "fit",
        f"{SLICING}.resources[0].replicas",
        "pools.rtx.gpu.profile",
        "pools",
        "pools.rtx.hosts.gpu-1",
    }


def test_problem_that_follows_from_another_is_not_reported() -> None:
    broken_server = {"pools/control/hosts/server-1": "nowhere"}
    assert set(problems(broken_server)) == {"pools.control.hosts.server-1"}  # not also: no server
    broken_profile = {f"{RESOURCES}/0/replicas": 1}
    assert set(problems(broken_profile)) == {f"{SLICING}.resources[0].replicas"}  # not also: profile unknown


def test_rendered_problems_are_sorted_by_place() -> None:
    paths = ["pools.b", "k3s.a[10]", "pools.a", "k3s.a[9]", "host gpu-10", "host gpu-9"]
    text = s.render(s.Problem(path, "f", "e", "r") for path in paths)
    order = [line.removeprefix("error: ") for line in text.splitlines() if line.startswith("error: ")]
    assert order == ["host gpu-9", "host gpu-10", "k3s.a[9]", "k3s.a[10]", "pools.a", "pools.b"]


def test_rendering_counts_problems_and_shows_every_part() -> None:
    warning = s.Problem("b", "f2", "e2", "r2", "warning")
    text = s.render([warning, s.Problem("a.b", "f1", "e1", "first\nsecond")])
    assert text.splitlines()[0] == "1 error, 1 warning"
    assert text.index("error: a.b") < text.index("warning: b")
    assert "  remedy:   first\n            second" in text
    assert s.render([]) == ""
    assert str(s.SettingsError([warning])) == s.render([warning])


# Secrets


def test_private_key_is_a_file_or_a_secret() -> None:
    without = {"ssh/privateKeyFile": REMOVE}
    assert s.parse(with_(without), ["sshPrivateKey"]).secrets == {"sshPrivateKey"}
    both = the_problem({}, ("sshPrivateKey",))
    assert both.where == "ssh.privateKeyFile" and "one source" in both.expected


@pytest.mark.parametrize(
    "change",
    [
        {"sshPrivateKey": "hunter2"},
        {"sshPrivatKey": "hunter2"},
        {"ssh/password": "hunter2"},
        {"ssh/privateKeyFile": "-----BEGIN OPENSSH PRIVATE KEY-----\nhunter2"},
        {"token": {"a": "hunter2"}},
    ],
)
def test_secret_is_never_shown(change: dict[str, Any]) -> None:
    with pytest.raises(s.SettingsError) as refused:
        s.parse(with_(change))
    assert "hunter2" not in str(refused.value) + repr(refused.value.problems)


def test_secret_in_plain_text_is_refused() -> None:
    found = problems({"sshPrivateKey": "x"})
    assert "--secret sshPrivateKey" in found["sshPrivateKey"].remedy


def test_unknown_secret_gets_the_nearest_known_one() -> None:
    assert the_problem({}, ("sshPrivatKey",)).remedy == "write sshPrivateKey instead of sshPrivatKey"


def test_encrypted_section_gets_no_further_problem() -> None:
    assert the_problem({"ssh": REMOVE}, ("ssh",)).where == "ssh"


# Any keys give Settings or problems

KEYS = st.sampled_from(
    [
        "ssh",
        "k3s",
        "pools",
        "gpuOperator",
        "sharing",
        "workloads",
        "fit",
        "version",
        "hosts",
        "role",
        "gpu",
        "product",
        "profiles",
        "timeSlicing",
        "resources",
        "name",
        "replicas",
        "values",
        "toolkit",
        "env",
        "config",
        "a",
        "[key]",
    ]
)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-1, 3)
    | st.floats()
    | st.sampled_from(["", "none", "server", "10.0.0.1"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS | st.integers(0, 2), inner, max_size=4),
    max_leaves=12,
)


@settings(deadline=None)
@given(st.dictionaries(KEYS, VALUES, max_size=5))
def test_any_keys_give_settings_or_settings_error(changes: dict[str, Any]) -> None:
    try:
        s.parse({**GOOD, **changes})
    except s.SettingsError as error:
        assert error.problems
        assert all(problem.where and problem.found and problem.remedy for problem in error.problems), error
        assert "a value`" not in str(error)
