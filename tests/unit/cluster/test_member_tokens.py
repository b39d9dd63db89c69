"""Members' tokens, against an API server in memory."""

import contextlib
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import httpx2
import pytest
from lightkube.core.exceptions import ApiError

from k3sgpu import timeouts
from k3sgpu.cluster import member_tokens
from k3sgpu.cluster.client import parse_kubeconfig
from k3sgpu.cluster.kinds import Pod, Service
from k3sgpu.cluster.member_tokens import issue_tokens
from k3sgpu.cluster.team_enforcement import TeamNotReady
from k3sgpu.handoff.teams import IssuedTokens, TokensPlan, member_expiries, member_kubeconfigs
from tests.data.team_pods import quota

CONFIG = parse_kubeconfig(
    """{clusters: [{name: c, cluster: {server: "https://10.0.0.1:6443", certificate-authority-data: Q0E=}}],
    users: [{name: u, user: {token: admin}}], contexts: [{name: x, context: {cluster: c, user: u}}],
    current-context: x}""",
    "a test",
)
PLAN: TokensPlan = {
    "namespace": "gpu-team-members",
    "members": {"ana": {"team": "vision", "uid": "1"}, "bo": {"team": "vision", "uid": "2"}},
    "renewal": 7,
}


class Api:
    """Makes tokens. Policies refuse objects of the kinds in `refused`, but for pods of the burst class, which
    they complete unless `late`."""

    def __init__(self, refused: tuple[Any, ...], late: bool) -> None:
        self.refused, self.late, self.made, self.longest = refused, late, 0, timeouts.TOKEN_SECONDS

    async def list(self, kind: Any, namespace: str):
        counted = quota("burst-rtx", 4)
        terms = [{"scopeName": "PriorityClass", "operator": "In", "values": ["burst-rtx", "guaranteed-rtx"]}]
        counted["spec"]["scopeSelector"] = {"matchExpressions": terms}
        yield counted

    async def create(self, body: Any, name: str = "", namespace: str = "", dry_run: bool = False) -> Any:
        if dry_run:
            return self.judge(body)
        self.made += 1
        ends = datetime.now(UTC) + timedelta(seconds=min(body.spec.expirationSeconds, self.longest))
        token = f"{name}-{body.metadata.uid}-{self.made}"
        return SimpleNamespace(status=SimpleNamespace(token=token, expirationTimestamp=ends))

    def judge(self, body: Any) -> Any:
        if body["spec"].get("priorityClassName") == "burst-rtx":
            selector = {} if self.late else {"k3s-gpu-sharing/pool": "rtx"}
            return {"spec": {**body["spec"], "nodeSelector": selector}}
        if type(body) not in self.refused:
            return body
        answer = {"message": "ValidatingAdmissionPolicy 'x' with binding 'x' denied", "code": 422}
        request = httpx2.Request("POST", "http://x")
        raise ApiError(request=request, response=httpx2.Response(422, json=answer, request=request))


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch):
    def serve(*refused: Any, late: bool = False) -> Api:
        api = Api(refused or (Service, Pod), late)

        @contextlib.asynccontextmanager
        async def connect(_: Any):
            yield api

        monkeypatch.setattr(member_tokens, "client", connect)
        monkeypatch.setattr(timeouts, "TEAM_INTERVAL_SECONDS", 0.01)
        monkeypatch.setattr(timeouts, "TEAM_POLICIES_SECONDS", 0.1)
        return api

    return serve


def tokens_of(issued: IssuedTokens) -> dict[str, str]:
    return {name: one["token"] for name, one in issued["members"].items()}


def test_tokens_that_are_still_good_are_kept(served) -> None:
    api = served()
    first = issue_tokens(PLAN, CONFIG, None, print)
    assert tokens_of(first) == {"ana": "ana-1-1", "bo": "bo-2-2"}
    ana = {"team": "vision", "uid": "another"}
    changed: TokensPlan = {**PLAN, "members": {"ana": ana, "bo": PLAN["members"]["bo"]}}  # pyright: ignore
    assert tokens_of(issue_tokens(changed, CONFIG, first, print)) == {"ana": "ana-another-3", "bo": "bo-2-2"}
    assert tokens_of(issue_tokens({**PLAN, "renewal": 8}, CONFIG, first, print))["bo"] == "bo-2-5"
    first["members"]["ana"]["expires"] = "2026-01-01T00:00:00+00:00"
    assert tokens_of(issue_tokens(PLAN, CONFIG, first, print)) == {"ana": "ana-1-6", "bo": "bo-2-2"}
    assert api.made == 6


@pytest.mark.parametrize(
    ("refused", "late", "words"),
    [
        ((Pod,), False, "the policy of all teams, in vision: a Service was allowed"),
        ((Service,), False, "the policy of team vision: a pod was allowed"),
        ((), True, "the policy that completes pods of team vision: nothing"),
    ],
)
def test_no_token_is_made_before_the_policies_answer(
    served, refused: tuple[Any, ...], late: bool, words: str
) -> None:
    api = served(*refused, late=late)
    with pytest.raises(TeamNotReady, match=words):
        issue_tokens(PLAN, CONFIG, None, print)
    assert not api.made


def test_token_that_ends_before_its_renewal_is_refused(served) -> None:
    served().longest = 7 * 86400
    with pytest.raises(TeamNotReady, match="raise the API server's service-account-max-token-expiration"):
        issue_tokens(PLAN, CONFIG, None, print)


def test_kubeconfig_names_the_cluster_and_the_teams_namespace(served) -> None:
    import json

    served()
    stdout = json.dumps(issue_tokens(PLAN, CONFIG, None, print))
    config = parse_kubeconfig(member_kubeconfigs(stdout)["bo"], "the output").get()
    assert config is not None and config.user is not None
    assert (config.cluster.server, config.cluster.certificate_auth_data) == ("https://10.0.0.1:6443", "Q0E=")
    assert (config.namespace, config.user.token) == ("vision", "bo-2-2")
    days = datetime.fromisoformat(member_expiries(stdout)["bo"]["expires"]) - datetime.now(UTC)
    assert days > timedelta(days=89)
