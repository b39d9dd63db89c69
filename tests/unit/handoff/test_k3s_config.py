"""k3s's configuration: what the settings of a cluster add to it."""

from typing import Any

import pytest

from k3sgpu import settings as s
from k3sgpu.handoff.k3s_config import QUOTA_SYNC, cluster_config
from tests.data.stack_files import with_

KEY = "kube-controller-manager-arg"
TEAMS = {"teams": {"vision": {"guaranteed": {"rtx": 1}}}, "workloads": {}}


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ({}, [QUOTA_SYNC]),
        ({KEY: "v=2"}, [QUOTA_SYNC, "v=2"]),
        ({KEY: ["resource-quota-sync-period=1m"]}, [QUOTA_SYNC, "resource-quota-sync-period=1m"]),
    ],
)
def test_quotas_are_counted_often_with_teams(written: dict[str, Any], expected: list[str]) -> None:
    config = cluster_config(s.parse(with_({**TEAMS, "k3s/config": written})))
    assert config["server_config"][KEY] == expected


def test_cluster_without_teams_keeps_its_arguments() -> None:
    assert KEY not in cluster_config(s.parse(with_({})))["server_config"]
