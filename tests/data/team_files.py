"""A stack file with two teams, for the tests of what a cluster holds for teams."""

from collections.abc import Mapping
from typing import Any

from k3sgpu import capacity
from k3sgpu import settings as s
from k3sgpu.teams.objects import TeamObjects, team_objects
from tests.data.stack_files import with_

TEAMS: dict[str, Any] = {
    "vision": {
        "members": ["ana", "bo"],
        "guaranteed": {"rtx": 2},
        "limit": {"rtx": 5},
        "perPod": {"rtx": 3},
        "hours": {"default": 8, "max": 24},
    },
    "students": {"members": ["cy", "di"], "limit": {"rtx": 2}, "perMember": {"rtx": 1}},
}


def team_settings(changes: Mapping[str, Any] | None = None) -> s.Settings:
    """The settings of GOOD with TEAMS and no workloads, and with changes of it."""
    return s.parse(with_({"workloads": {}, "teams": TEAMS, **(changes or {})}))


def objects_of(settings: s.Settings) -> TeamObjects:
    """The objects of the teams in these settings."""
    offers = capacity.offers(settings)
    return team_objects(settings, offers, capacity.team_shares(settings, offers))
