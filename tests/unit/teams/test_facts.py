"""What members may know of the stack."""

from k3sgpu.capacity import offers, team_shares
from k3sgpu.settings import parse
from k3sgpu.teams.facts import share_of_facts, teams_facts
from tests.data.stack_files import with_


def test_facts_have_offers_shares_and_slices_of_other_workloads() -> None:
    settings = parse(
        with_(
            {
                "teams": {
                    "vision": {"members": ["bo", "ana"], "guaranteed": {"rtx": 2}, "hours": {"default": 8}}
                },
                "pools/rtx/reserved": {"nvidia.com/gpu": 1},
                "workloads": {"mine": {"replicas": 2, "gpus": 1}},
            }
        )
    )
    offered = offers(settings)
    shares = team_shares(settings, offered)
    facts = teams_facts(settings, offered, shares)
    assert facts["pools"]["rtx"]["outside"] == {"nvidia.com/gpu": 2}
    slices = {offer.name: offer.resources["nvidia.com/gpu"] for offer in offered if offer.pool == "rtx"}
    assert facts["pools"]["rtx"]["nodes"] == {
        name: {"nvidia.com/gpu": number - 1} for name, number in slices.items()
    }
    assert facts["teams"] == {"vision": {"members": ["ana", "bo"], "hours": {"default": 8, "max": 8}}}
    assert tuple(map(share_of_facts, facts["shares"])) == shares
