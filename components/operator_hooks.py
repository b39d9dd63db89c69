"""Hooks of the GPU Operator's Release.

One refuses an upgrade that NVIDIA does not support: only a hook knows the old version and the new one. The
other says what to do about an error after which Helm does not go on by itself.
"""

import pulumi

from components.error_hints import engine_text
from k3sgpu.hints import Hint, find_hint
from k3sgpu.operator_releases import MAJOR_RELEASES, major_release
from k3sgpu.problem import Problem

_THROUGH = "upgrade one major release at a time: version: {steps}, an up after each"
_REMOVE_FIRST = """\
remove the operator first: gpuOperator: {{version: {old}, removeCrds: true}}, up
then {{enabled: false}}, up; then {{version: {new}}}, up   # pods with GPUs start again"""

HINTS = (
    # An upgrade or roll-back whose client was killed.
    Hint(
        r"another operation",
        """\
delete Helm's record of that operation; the next up does the operation again:
kubectl --namespace {namespace} delete secret -l \
'owner=helm,name={name},status in (pending-install,pending-upgrade,pending-rollback)'
then up""",
        found="an operation on the release {namespace}/{name} was cut off, and Helm waits for its end",
        expected="no pending operation",
    ),
    # An install whose client was killed, or another user's. Helm 3 says "re-use", Helm 4 "reuse". A plugin
    # can live longer than its engine, and finish the install: then the record says `deployed`.
    Hint(
        r"a name that is still in use",
        """\
does this print a line? kubectl --namespace {namespace} get secret -l owner=helm,name={name} \
-o jsonpath='{{.items[-1:].data.release}}' | base64 -d | base64 -d | gunzip | grep -o '{owner}'
yes, or kubectl --namespace {namespace} get secret -l owner=helm,name={name} --show-labels says
status=pending-install or failed: it is this stack's, of an up that was killed. Delete Helm's record of it;
the next up installs over what is there, and takes it over:
kubectl --namespace {namespace} delete secret -l owner=helm,name={name}
no: it is somebody else's; helm --namespace {namespace} uninstall {name}
then up""",
        found="there is a release {namespace}/{name} that this stack's state does not know",
        expected="no release of this name",
    ),
    # Every object of a chart belongs to one release, which its labels and annotations name.
    Hint(
        r"cannot be imported into the current release",
        """\
kubectl get clusterpolicy,crd,clusterrole --show-labels | grep -i gpu-operator
one that is in use: docs/guides/adopt.md takes it over; or gpuOperator: {{enabled: false}}
one that may go: helm list --all-namespaces names its release, then
helm --namespace NAMESPACE uninstall NAME --wait
what is left of one: kubectl delete clusterpolicy cluster-policy   # or the object that Helm names
then up""",
        found="the cluster has an operator, or a part of one, that is not this stack's: see the error above",
        expected="no other GPU Operator: a cluster has room for one",
    ),
)


def release_description() -> str:
    """What Helm's record of the release says about it: the stack that owns it."""
    return f"Pulumi stack {pulumi.get_project()}/{pulumi.get_stack()}"


def hooks() -> pulumi.ResourceHookBinding:
    """The hooks of the operator's Release."""
    dry = pulumi.ResourceHookOptions(on_dry_run=True)
    return pulumi.ResourceHookBinding(
        before_update=[pulumi.ResourceHook("operator-step", _refuse_upgrade, dry)],
        on_error=[pulumi.ErrorHook("operator-stuck", _explain)],
    )


def upgrade_problem(old: str | None, new: str | None) -> Problem | None:
    """Why NVIDIA does not support the upgrade from `old` to `new`.

    None where it does, or where one of the versions is unknown.
    """
    before, after = major_release(old), major_release(new)
    if before is None or after is None or before == after:
        return None
    between = [f"v{year}.{month}.x" for year, month in MAJOR_RELEASES if before < (year, month) < after]
    if before < after and not between:
        return None
    remedies = [_REMOVE_FIRST.format(old=old, new=new)]
    if between:
        remedies.insert(0, _THROUGH.format(steps=", then ".join([*between, str(new)])))
    return Problem(
        "gpuOperator.version",
        found=f"{new}, where {old} is installed",
        expected=f"a patch release of {old}, or the next major release (YY.M): NVIDIA supports no others",
        remedy="\nor ".join(remedies),
    )


def explain(errors: list[str], namespace: str | None, name: str | None, owner: str) -> str | None:
    """What to do about an error after which Helm does not go on by itself; None for other errors.

    `owner`: the description of this stack's releases.
    """
    hint = find_hint(HINTS, "\n".join(errors), namespace=namespace, name=name, owner=owner)
    return engine_text(hint.as_problem("gpuOperator")) if hint else None


def _refuse_upgrade(args: pulumi.ResourceHookArgs) -> None:
    old, new = ((inputs or {}).get("version") for inputs in (args.old_inputs, args.new_inputs))
    if problem := upgrade_problem(old, new):
        raise pulumi.RunError(engine_text(problem))


def _explain(args: pulumi.ErrorHookArgs) -> bool:
    inputs = args.new_inputs or args.old_inputs or {}
    if text := explain(args.errors, inputs.get("namespace"), inputs.get("name"), release_description()):
        pulumi.log.error(text)
    return False  # no retry: it would fail in the same way
