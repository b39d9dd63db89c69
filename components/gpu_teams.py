"""Teams that share the cards: their namespaces, quotas and policies, and a kubeconfig for each member."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TypedDict, TypeVar

import pulumi
from pulumi_command import local
from pulumi_kubernetes import core

from components.kubernetes_object import KubernetesObjects, Manifest
from components.local_command import local_command
from components.sdk_workarounds import child_options
from k3sgpu.handoff.teams import (
    SHARES_VARIABLE,
    TOKENS_VARIABLE,
    EvictionPlan,
    TokensPlan,
    member_expiries,
    member_kubeconfigs,
)

T = TypeVar("T")


class TeamArgs(TypedDict):
    """One team."""

    objects: Sequence[Manifest]
    """Its namespace first, and what is in it or for it."""
    members: Mapping[str, Sequence[Manifest]]
    """By member: the ServiceAccount first, and its rights."""


class GpuTeamsArgs(TypedDict):
    """All teams, and what they have in common."""

    shared: Sequence[Manifest]
    """The objects that belong to no single team; namespaces first."""
    members_namespace: str
    """Of the members' ServiceAccounts."""
    teams: Mapping[str, TeamArgs]
    shares: EvictionPlan
    """What each team may have: its pods above that are evicted."""
    renewal: int
    """Another number makes a new token for every member."""
    kubeconfig: pulumi.Input[str]


class GpuTeams(pulumi.ComponentResource):
    """The order of a change: quotas and policies, then the eviction of pods that are above them, then tokens.

    So another team's larger guarantee holds when the update has ended. A member who is taken out loses his
    ServiceAccount, and with it every token.
    """

    evictions: local.Command
    """Exists when no team has more than it may: workloads of teams come after it."""
    kubeconfigs: pulumi.Output[dict[str, str]]
    """By member: a kubeconfig. Secret."""
    members: pulumi.Output[dict[str, dict[str, str]]]
    """By member: the team, and when the token ends."""
    last: list[pulumi.Resource]
    """What nothing of the component depends on."""

    def __init__(self, name: str, args: GpuTeamsArgs, opts: pulumi.ResourceOptions | None = None):
        super().__init__("k3sgpu:index:GpuTeams", name, None, opts)
        self._name, self._args, self._opts = name, args, opts
        self._objects = KubernetesObjects(self, opts)
        rules = self._objects.register(args["shared"])
        for team in args["teams"].values():
            rules += self._objects.register(team["objects"])
        self.evictions = local_command(
            f"{name}-evictions",
            "team evict",
            {SHARES_VARIABLE: json.dumps(args["shares"], sort_keys=True)},
            args["kubeconfig"],
            self._after(rules),
        )
        tokens = {team: self._issue_tokens(team) for team, one in args["teams"].items() if one["members"]}
        issued = [command.stdout for command in tokens.values()]
        self.kubeconfigs = pulumi.Output.secret(
            pulumi.Output.all(*issued).apply(
                lambda texts: _merged([member_kubeconfigs(one) for one in texts])
            )
        )
        self.members = pulumi.Output.unsecret(
            pulumi.Output.all(*issued).apply(lambda texts: _merged([member_expiries(one) for one in texts]))
        )
        self.last = [*tokens.values()] or [self.evictions]
        self.register_outputs({"kubeconfigs": self.kubeconfigs, "members": self.members})

    def _issue_tokens(self, team: str) -> local.Command:
        """Makes the ServiceAccounts of a team's members, and their tokens."""
        accounts: dict[str, pulumi.Output[str]] = {}
        registered: list[pulumi.Resource] = []
        for member, manifests in self._args["teams"][team]["members"].items():
            account, *rights = self._objects.register(manifests)
            assert isinstance(account, core.v1.ServiceAccount)
            accounts[member] = account.metadata.apply(lambda metadata: metadata.uid or "")
            registered += [account, *rights]
        plan = pulumi.Output.all(**accounts).apply(lambda uids: self._plan(team, uids))
        return local_command(
            f"{self._name}-tokens-{team}",
            "team tokens",
            {TOKENS_VARIABLE: plan.apply(lambda value: json.dumps(value, sort_keys=True))},
            self._args["kubeconfig"],
            self._after([*registered, self.evictions]),
            remembers=True,
            secret_output=True,
        )

    def _plan(self, team: str, uids: Mapping[str, str]) -> TokensPlan:
        return {
            "namespace": self._args["members_namespace"],
            "members": {member: {"team": team, "uid": uid} for member, uid in uids.items()},
            "renewal": self._args["renewal"],
        }

    def _after(self, resources: Sequence[pulumi.Resource]) -> pulumi.ResourceOptions:
        return child_options(self, self._opts, depends_on=list(resources))


def _merged(parts: Sequence[Mapping[str, T]]) -> dict[str, T]:
    return {key: value for part in parts for key, value in part.items()}
