"""Inventories of other tools."""

import pytest

from k3sgpu.discovery.inventories import read_inventory
from k3sgpu.problem import SettingsError

K3S_ANSIBLE = """\
---
k3s_cluster:
  children:
    server:
      hosts:
        192.16.35.11:
    agent:
      hosts:
        192.16.35.12:
        gpu-2:
          ansible_host: 192.16.35.13
          ansible_user: ubuntu
  vars:
    ansible_port: 2222
    ansible_user: debian
    k3s_version: v1.30.2+k3s1
    token: "changeme!"
    api_endpoint: "{{ hostvars[groups['server'][0]]['ansible_host'] }}"
"""
HOSTS_INI = """\
[master]
192.16.35.12

[node]
192.16.35.[13:14]
gpu-9 ansible_host=192.16.35.19 ansible_port=2222 # a card

[k3s_cluster:children]
master
node

[k3s_cluster:vars]
ansible_user=debian
"""
NODE_POOLS = """\
my-cluster:
  hosts:
    - 1.2.3.4
    - ip: 1.2.3.5
      user: alice
  user: ubuntu
  identity_file: ~/.ssh/lab
  password: not-for-us
"""


def short(text: str) -> list[tuple[str, str, int, str, str]]:
    return [
        (host.address, host.user, host.port, host.role, host.name) for host in read_inventory(text, "file")
    ]


def test_k3s_ansible_in_yaml() -> None:
    assert short(K3S_ANSIBLE) == [
        ("192.16.35.11", "debian", 2222, "server", ""),
        ("192.16.35.12", "debian", 2222, "agent", ""),
        ("192.16.35.13", "ubuntu", 2222, "agent", "gpu-2"),
    ]


def test_k3s_ansible_in_ini() -> None:
    assert short(HOSTS_INI) == [
        ("192.16.35.12", "debian", 0, "server", ""),
        ("192.16.35.13", "debian", 0, "agent", ""),
        ("192.16.35.14", "debian", 0, "agent", ""),
        ("192.16.35.19", "debian", 2222, "agent", "gpu-9"),
    ]


def test_skypilot_node_pools() -> None:
    hosts = read_inventory(NODE_POOLS, "ssh_node_pools.yaml")
    assert [(host.address, host.user, host.role, host.key_file) for host in hosts] == [
        ("1.2.3.4", "ubuntu", "server", "~/.ssh/lab"),
        ("1.2.3.5", "alice", "agent", "~/.ssh/lab"),
    ]


def test_a_plain_list_with_comments() -> None:
    assert short("# lab\n10.0.0.1\nubuntu@10.0.0.2:2222  # the card\n\n") == [
        ("10.0.0.1", "", 0, "", ""),
        ("10.0.0.2", "ubuntu", 2222, "", ""),
    ]


@pytest.mark.parametrize(
    ("text", "line", "found"),
    [
        ("10.0.0.1\n10.0.0.2 gpu\n", 2, "no such text"),
        ("k3s_cluster:\n  childs:\n    server:\n", 2, "neither hosts nor children"),
        ("server:\n  hosts:\n    gpu-1: {ansible_host: '{{ ip }}'}\n", 3, "no such text"),
        ("[node]\n10.0.0.[9:1]\n", 2, "a range of none"),
        ("pool:\n  hosts:\n    - user: me\n", 3, "without ip"),
        ("a: [\n", 2, "did not find"),
        ("\n", 0, "no machine"),
    ],
)
def test_a_wrong_file_names_line_and_expected(text: str, line: int, found: str) -> None:
    with pytest.raises(SettingsError) as error:
        read_inventory(text, "hosts")
    (problem,) = error.value.problems
    assert problem.where == (f"hosts: line {line}" if line else "hosts")
    assert found in problem.found
    assert problem.expected and problem.remedy
