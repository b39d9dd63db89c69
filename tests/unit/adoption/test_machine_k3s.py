"""The k3s of a machine is read as it runs, or refused with every reason."""

import pytest

from k3sgpu.adoption.machine_k3s import FoundK3s, read_machine
from tests.unit.adoption.hand_made import UNIT, lines


def found(*arguments: str, **keywords: object) -> FoundK3s:
    read = read_machine("10.0.0.1", lines(*arguments, **{"hostname": "Box", **keywords}))  # type: ignore[arg-type]
    assert isinstance(read, FoundK3s), read
    return read


def refused(*arguments: str, **keywords: object) -> str:
    read = read_machine("10.0.0.1", lines(*arguments, **{"hostname": "box", **keywords}))  # type: ignore[arg-type]
    assert isinstance(read, list)
    return " ".join(f"{one.found} {one.remedy}" for one in read)


def test_article_agent_has_its_token_and_server_from_the_environment():
    one = found("agent", env="K3S_TOKEN='K10ab::server:s'\nK3S_URL='https://10.0.0.1:6443'\n")
    assert (one.role, one.node_name) == ("agent", "box")
    assert (one.one("token"), one.one("server")) == ("K10ab::server:s", "https://10.0.0.1:6443")


def test_flag_wins_over_file_and_file_over_environment():
    one = found(
        "server",
        "--tls-san=a,b",
        "--node-name",
        "flag",
        env="K3S_NODE_NAME=env\nK3S_KUBECONFIG_MODE=644\n",
        files={
            "/etc/rancher/k3s/config.yaml": "node-name: file\nwrite-kubeconfig-mode: 0640\n"
            "kubelet-arg: [v=2]\n",
            "/etc/rancher/k3s/config.yaml.d/1.yaml": "kubelet-arg+: [max-pods=50]\ncluster-init: true\n",
        },
    )
    assert (one.node_name, one.one("write-kubeconfig-mode")) == ("flag", "0640")
    assert one.options["kubelet-arg"] == ("v=2", "max-pods=50")
    assert one.all("tls-san") == ("a", "b") and one.one("cluster-init") == "true"


def test_proxy_of_the_environment_is_found_in_either_case():
    one = found("server", env="https_proxy=http://p:3128\nNO_PROXY=.svc\n")
    assert one.proxies == {"HTTPS_PROXY": "http://p:3128", "NO_PROXY": ".svc"}


REFUSED = {
    "an unknown flag": ({"flags": ["--fancy", "yes"]}, "the flag --fancy"),
    "another program": ({"unit": "k3s.service active", "binary": "/opt/bin/k3s"}, "/opt/bin/k3s"),
    "no unit": ({"unit": ""}, "no unit of k3s"),
    "no binary": ({"binary": ""}, "no program k3s"),
    "no k3s": ({"binary": "", "unit": ""}, "no k3s"),
    "a failed unit": ({"unit": "k3s.service failed"}, "systemctl status k3s.service"),
    "changed files": ({"changed": "/etc/rancher/k3s/config.yaml"}, "changed after k3s had started"),
    "a variable": ({"env": "AWS_KEY=secret\n"}, "the variable AWS_KEY"),
    "another config file": ({"flags": ["--config", "/root/c.yaml"]}, "the option config"),
    "a specifier": ({"flags": ["--node-name=%H"]}, "a % or a $"),
    "a drop-in with an environment": (
        {"files": {"/etc/systemd/system/k3s.service.d/p.conf": "[Service]\nEnvironment=HTTP_PROXY=x\n"}},
        "p.conf, which the program would not read",
    ),
    "variables elsewhere": ({"files": {"/etc/default/k3s": "K3S_DEBUG=true\n"}}, "/etc/default/k3s"),
    "another environment file": (
        {"files": {"/etc/systemd/system/k3s.service": UNIT.format(unit="x", role="server", flags="")}},
        "EnvironmentFile=/etc/systemd/system/x.env",
    ),
    "no YAML": ({"files": {"/etc/rancher/k3s/config.yaml": "{"}}, "no YAML"),
}


@pytest.mark.parametrize(("keywords", "words"), REFUSED.values(), ids=REFUSED)
def test_what_a_stack_file_cannot_say_is_refused(keywords: dict, words: str):
    values = dict(keywords)
    text = refused("server", *values.pop("flags", ()), **values)
    assert words in text and "secret" not in text


def test_answer_that_breaks_off_is_refused():
    printed = lines("server", hostname="box")[:-1]
    read = read_machine("10.0.0.1", printed)
    assert isinstance(read, list) and "not whole" in read[0].found
