"""Probes of the `kubernetes` plugin: objects and patches from create to destroy, waits, and the provider."""

from __future__ import annotations

from rehearsal.tests.e2e.probes.cluster import live, managers, soon
from rehearsal.tests.e2e.probes.imports import MAP as MADE_BY_HAND
from rehearsal.tests.e2e.probes.imports import imports, made_by_hand
from rehearsal.tests.e2e.probes.kubernetes_programs import (
    MAP,
    chart,
    deployments,
    drift,
    from_command,
    gpus,
    jobs,
    known_kubeconfig,
    mistyped,
    node_with_gpus,
    nodes_and_widget,
    objects,
    patched,
    patches,
    ready_condition,
    refused,
    release,
    taken,
    unreachable,
    waits,
)
from rehearsal.tests.e2e.probes.probe import Probe, Step

PROBES = (
    Probe(
        "objects",
        (
            Step("preview", "preview", objects("a")),
            Step("create", "up", objects("a"), observe=managers(MAP)),
            Step("again", "up", objects("a")),
            Step("preview-change", "preview", objects("b")),
            Step("change", "up", objects("b"), observe=managers(MAP)),
            Step("rename", "preview", objects("b", name="renamed")),
            Step("not-mutable", "preview", objects("c", mutable=False)),
            Step("drift", "refresh", objects("b"), before=drift),
            Step("mend", "up", objects("b"), observe=live(MAP, "data")),
            Step("destroy", "destroy", objects("b"), observe=live("/api/v1/namespaces/objects")),
        ),
    ),
    Probe("refused", (Step("preview", "preview", refused), Step("create", "up", taken))),
    Probe("mistyped", (Step("preview", "preview", mistyped),)),
    Probe(
        "patches",
        (
            Step("preview", "preview", patches("a"), before=nodes_and_widget),
            Step("conflict", "up", patches("a", force=False), observe=patched),
            Step("create", "up", patches("a"), observe=patched),
            Step("again", "up", patches("a")),
            Step("preview-change", "preview", patches("b", other=True)),
            Step("change", "up", patches("b", other=True), observe=patched),
            Step("manager", "up", patches("b", manager="renamed"), observe=managers("/api/v1/nodes/node-1")),
            Step("refresh", "refresh", patches("b", manager="renamed")),
            Step("destroy", "destroy", patches("b"), observe=patched),
        ),
    ),
    Probe(
        "waits",
        (
            Step("fulfilled", "up", waits("6"), before=node_with_gpus),
            Step("again", "up", waits("6")),
            Step("changed", "up", waits("8"), before=soon(gpus("8"))),
            Step("in-vain", "up", waits("9", seconds="3")),
            Step("after", "up", waits("8")),
            Step("condition", "up", waits("c", expression="condition=Ready"), before=soon(ready_condition)),
            Step("exists", "up", waits("e", expression='["jsonpath={.status.capacity}", "condition=Ready"]')),
        ),
    ),
    Probe(
        "deployments",
        (
            Step("preview", "preview", deployments()),
            Step("create", "up", deployments()),
            Step("again", "up", deployments(stuck_fate="runs")),
            Step("preview-image", "preview", deployments(image="other", stuck_fate="runs")),
            Step("image", "up", deployments(image="other", stuck_fate="runs")),
            Step("scale", "up", deployments(image="other", stuck_fate="runs", replicas=0)),
            Step("selector", "preview", deployments(selector="new", stuck_fate="runs")),
            Step("refresh", "refresh", deployments(stuck_fate="runs")),
            Step("destroy", "destroy", deployments()),
        ),
    ),
    Probe(
        "jobs",
        (
            Step("create", "up", jobs("a")),
            Step("change", "preview", jobs("b")),
            Step("destroy", "destroy", jobs("a")),
        ),
    ),
    Probe(
        "release",
        (
            Step("preview", "preview", release(a=1), before=chart),
            Step("create", "up", release(a=1)),
            Step("again", "up", release(a=1)),
            Step("preview-change", "preview", release(a=2)),
            Step("change", "up", release(a=2)),
            Step("broken", "up", release(a=2, broken=True, image="other")),
            Step("healed", "up", release(a=2, image="third")),
            Step("elsewhere", "preview", release(a=2, image="third", namespace="kube-public")),
            Step("refresh", "refresh", release(a=2, image="third")),
            Step("destroy", "destroy", release(a=2)),
        ),
    ),
    Probe(
        "import",
        (
            Step("nothing", "preview", imports(name="nowhere"), before=made_by_hand),
            Step("preview", "preview", imports()),
            Step("import", "up", imports(), observe=managers(MADE_BY_HAND)),
            Step("data", "refresh", imports(), observe=live(MADE_BY_HAND, "data", "metadata/labels")),
            Step("again", "up", imports()),
            Step("change", "up", imports(a=2)),
            Step("destroy", "destroy", imports(a=2), observe=live(MADE_BY_HAND)),
        ),
    ),
    Probe("no-chart", (Step("preview", "preview", release(chart="./nowhere")),)),
    Probe(
        "release-fails",
        (Step("create", "up", release(broken=True), before=chart), Step("destroy", "destroy", release())),
    ),
    Probe(
        "kubeconfig-from-command",
        (
            Step("preview", "preview", from_command("a")),
            Step("create", "up", from_command("a")),
            Step("preview-change", "preview", from_command("b")),
            Step("change", "up", from_command("b")),
            Step("without-identifier", "preview", from_command("b", identifier=None)),
            Step("other-identifier", "preview", from_command("b", identifier="other")),
            Step("destroy", "destroy", from_command("b")),
        ),
    ),
    Probe(
        "other-server",
        (
            Step("create", "up", known_kubeconfig(None, "served")),
            Step("preview", "preview", known_kubeconfig(None, "served", other_server=True)),
        ),
    ),
    Probe(
        "unreachable",
        (
            Step("preview", "preview", unreachable),
            Step("create", "up", unreachable),
            Step("reachable", "up", known_kubeconfig("probes", "reached")),
            Step(
                "preview-change",
                "preview",
                known_kubeconfig("probes", "reached", other_server=True, text="b"),
            ),
            Step("refresh", "refresh", unreachable),
        ),
    ),
)
