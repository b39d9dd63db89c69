"""What the program hands to `team tokens` and `team evict`, and what it reads from `team tokens`."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import NotRequired

import yaml
from typing_extensions import TypedDict

from k3sgpu.capacity import TeamShare
from k3sgpu.handoff.validation import validate
from k3sgpu.problem import InputError
from k3sgpu.teams.facts import ShareFacts, share_facts, share_of_facts

TOKENS_VARIABLE = "K3SGPU_TEAM_TOKENS"
"""The environment variable of a TokensPlan."""
SHARES_VARIABLE = "K3SGPU_TEAM_SHARES"
"""The environment variable of an EvictionPlan."""


class Member(TypedDict):
    """A member who gets a token."""

    team: str
    uid: str
    """Of the ServiceAccount: a member who was taken out and comes back gets a new token."""


class TokensPlan(TypedDict):
    """The tokens to make. It holds no secret."""

    namespace: str
    """Of the members' ServiceAccounts."""
    members: dict[str, Member]
    renewal: int
    """Another number: every member gets a new token."""


class EvictionPlan(TypedDict):
    """What the teams may hold."""

    teams: list[str]
    """All of them: one without a share may hold nothing."""
    shares: list[ShareFacts]


class IssuedToken(TypedDict):
    """A member's token."""

    team: str
    token: str
    expires: str
    """When it ends: RFC 3339, UTC."""
    uid: str
    renewal: int
    """Of the plan for which it was made."""


class ApiServer(TypedDict):
    """The API server as members reach it."""

    server: str
    certificateAuthorityData: NotRequired[str]
    """Its certificate authority in base64; without one the system's are trusted."""


class IssuedTokens(TypedDict):
    """What `team tokens` prints. It is a secret.

    Whole kubeconfigs would be twice as long, and the output has a limit (environment.MAX_CHARACTERS).
    """

    cluster: ApiServer
    members: dict[str, IssuedToken]


def parse_tokens_plan(data: object) -> TokensPlan:
    """Returns `data` as a TokensPlan. Raises InputError where it has another shape."""
    return validate(TokensPlan, data, "the plan of the teams' tokens")


def eviction_plan(teams: Iterable[str], shares: Iterable[TeamShare]) -> EvictionPlan:
    """Returns what the teams may hold, for `team evict`."""
    return {"teams": sorted(teams), "shares": [share_facts(share) for share in shares]}


def parse_eviction_plan(data: object) -> tuple[list[str], tuple[TeamShare, ...]]:
    """Returns the teams and the shares of an EvictionPlan. Raises InputError for another shape."""
    plan = validate(EvictionPlan, data, "the teams' shares")
    return plan["teams"], tuple(map(share_of_facts, plan["shares"]))


def read_issued_tokens(text: str) -> IssuedTokens | None:
    """Returns what an earlier `team tokens` printed; None for any other text."""
    try:
        return validate(IssuedTokens, json.loads(text), "the teams' tokens")
    except (ValueError, RecursionError, InputError):
        return None


def member_kubeconfigs(stdout: str) -> dict[str, str]:
    """Returns each member's kubeconfig, from what `team tokens` printed.

    The context and its namespace have the team's name.
    """
    issued: IssuedTokens = json.loads(stdout)
    return {name: _kubeconfig(issued["cluster"], name, one) for name, one in issued["members"].items()}


def member_expiries(stdout: str) -> dict[str, dict[str, str]]:
    """Returns each member's team and when his token ends, from what `team tokens` printed."""
    issued: IssuedTokens = json.loads(stdout)
    return {name: {"team": one["team"], "expires": one["expires"]} for name, one in issued["members"].items()}


def _kubeconfig(api: ApiServer, member: str, issued: IssuedToken) -> str:
    cluster = {"server": api["server"]}
    if authority := api.get("certificateAuthorityData"):
        cluster["certificate-authority-data"] = authority
    team = issued["team"]
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": team, "cluster": cluster}],
        "users": [{"name": member, "user": {"token": issued["token"]}}],
        "contexts": [{"name": team, "context": {"cluster": team, "user": member, "namespace": team}}],
        "current-context": team,
    }
    return yaml.safe_dump(document, sort_keys=False)
