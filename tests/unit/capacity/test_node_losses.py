"""What happens to the pods after the loss of a node and during an update."""

from k3sgpu.capacity.render.summary import rolling_update_text
from k3sgpu.capacity.scheduling import FitSummary
from tests.unit.capacity.fits import ON_GPU_2, SECOND_NODE, fit_of


def test_node_loss_reports_pods_that_stay_pending() -> None:
    (loss,) = fit_of({}).node_losses
    assert loss.nodes == ("gpu-1",) and loss.result == FitSummary("no order", 2, 2)
    (loss,) = fit_of(SECOND_NODE).node_losses
    assert loss.nodes == ("gpu-1", "gpu-2") and loss.result == FitSummary("any order", 0, 0)
    pinned, other = fit_of({**SECOND_NODE, "workloads/w/nodeSelector": ON_GPU_2}).node_losses, "gpu-2"
    assert [(loss.nodes, loss.result.min_pending) for loss in pinned] == [((other,), 2)]


def test_rolling_update_text_follows_the_verdict() -> None:
    assert "however many Deployments" in rolling_update_text(fit_of({}))
    some = {**SECOND_NODE, "workloads": {"small": {"replicas": 6}, "large": {"gpus": 6}}}
    assert rolling_update_text(fit_of(some)).startswith("one Deployment at a time")
    assert "a Pending pod may take the slices" in rolling_update_text(fit_of({"workloads/w/replicas": 4}))
