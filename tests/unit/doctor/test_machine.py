"""What a rule gets: a machine and the plan."""

import pytest

from k3sgpu.doctor.machine import Plan, parse_version
from tests.data.inventories import host_entry, inventory_of


@pytest.mark.parametrize(
    ("text", "version"),
    [("v1.36.2+k3s1", (1, 36, 2, 1)), ("v1.37.0-rc1+k3s2", (1, 37, 0, 2)), ("", None), ("v1.36.2", None)],
)
def test_k3s_version_is_parsed_into_numbers(text, version):
    assert parse_version(text) == version


def test_plan_follows_the_inventory():
    hosts = [host_entry("a"), host_entry("b"), host_entry("gpu-1", role="agent")]
    plan = Plan.from_inventory(inventory_of(*hosts, registration="10.0.0.1", flannel="host-gw"))
    assert (plan.registration, plan.flannel) == ("10.0.0.1", "host-gw")
    assert plan.networks == {"clusterCidr": "10.42.0.0/16", "serviceCidr": "10.43.0.0/16"}


@pytest.mark.parametrize(
    ("servers", "external", "etcd"), [(1, False, False), (3, False, True), (2, True, False), (3, True, False)]
)
def test_several_servers_run_etcd_unless_their_database_is_outside(servers, external, etcd):
    hosts = [host_entry(f"server-{number}") for number in range(servers)]
    assert Plan.from_inventory(inventory_of(*hosts, externalDatabase=external)).etcd == etcd
