"""What the engine does around the operator's Release: no step between releases that NVIDIA does not support,
and words for Helm's dead ends.

Hooks, because nothing else knows which release there was when the next one is planned.
"""

import pulumi

# NVIDIA counts YY.M as the major version (its documentation, platform support).
MAJORS = ((22, 9), (23, 3), (23, 6), (23, 9), (24, 3), (24, 6), (24, 9), (25, 3), (25, 10), (26, 3), (26, 7))

_AWAY = """\
by way of none: gpuOperator: {{version: {old}, removeCrds: true}}, up
then {{enabled: false}}, up; then {{version: {new}}}, up   # pods with GPUs start again"""
_STUCK = {
    # An upgrade or roll-back whose client was killed.
    "another operation": """\
an operation on the release {namespace}/{name} was cut off, and Helm waits for its end
remedy:   forget that operation; what it did, the next up does again:
          kubectl --namespace {namespace} delete secret -l \
'owner=helm,name={name},status in (pending-install,pending-upgrade,pending-rollback)'
          then up""",
    # An install whose client was killed, or somebody else's. Helm 3 says "re-use", Helm 4 "reuse".
    "a name that is still in use": """\
there is a release {namespace}/{name} that this stack does not know
remedy:   kubectl --namespace {namespace} get secret -l owner=helm,name={name} --show-labels
          status=pending-install or failed: an install that was cut off; forget it, the next up does it again:
          kubectl --namespace {namespace} delete secret -l owner=helm,name={name}
          status=deployed: somebody else's; helm --namespace {namespace} uninstall {name}
          then up""",
    # Objects of a chart belong to one release; Helm takes none over (its labels and annotations say whose).
    "cannot be imported into the current release": """\
the cluster has an operator, or a part of one, that is not this stack's: Helm's own words name it
remedy:   kubectl get clusterpolicy,crd,clusterrole --show-labels | grep -i gpu-operator
          somebody's that is in use: gpuOperator: {{enabled: false}}, for a cluster has room for one
          somebody's that may go: helm list --all-namespaces names its release, then
          helm --namespace NAMESPACE uninstall NAME --wait
          a rest of one: kubectl delete clusterpolicy cluster-policy   # or what Helm names
          then up""",
}


def hooks() -> pulumi.ResourceHookBinding:
    """For the operator's Release."""
    dry = pulumi.ResourceHookOptions(on_dry_run=True)
    return pulumi.ResourceHookBinding(
        before_update=[pulumi.ResourceHook("operator-step", _refuse, dry)],
        on_error=[pulumi.ErrorHook("operator-stuck", _explain)],
    )


def _refuse(args: pulumi.ResourceHookArgs) -> None:
    old, new = ((inputs or {}).get("version") for inputs in (args.old_inputs, args.new_inputs))
    if problem := unsupported(old, new):
        raise pulumi.RunError(problem)


def _explain(args: pulumi.ErrorHookArgs) -> bool:
    inputs = args.new_inputs or args.old_inputs or {}
    if way := way_out(args.errors, inputs.get("namespace"), inputs.get("name")):
        pulumi.log.error(way)
    return False  # trying again would not help


def unsupported(old: str | None, new: str | None) -> str | None:
    """Why NVIDIA supports no step from one release to the other; None where it does, or one is unknown."""
    before, after = _major(old), _major(new)
    if before is None or after is None or before == after:
        return None
    between = [f"v{year}.{month}.x" for year, month in MAJORS if before < (year, month) < after]
    if before < after and not between:
        return None
    ways = [_AWAY.format(old=old, new=new)]
    if between:
        steps = ", then ".join([*between, str(new)])
        ways.insert(0, f"one at a time: version: {steps}, an up after each")
    told = [
        "gpuOperator.version",
        f"found:    {new}, where {old} is installed",
        f"expected: a patch of {old}, or the next major release (YY.M): NVIDIA supports no other upgrade",
        *(f"remedy:   {way}" for way in ways),
    ]
    return "\n".join(line.replace("\n", "\n          ") for line in told)


def way_out(errors: list[str], namespace: str | None, name: str | None) -> str | None:
    """What to do where Helm says no more than that it is stuck."""
    for words, way in _STUCK.items():
        if any(words in error for error in errors):
            return "gpuOperator: " + way.format(namespace=namespace, name=name)
    return None


def _major(version: str | None) -> tuple[int, int] | None:
    parts = (version or "").removeprefix("v").split(".")
    return (int(parts[0]), int(parts[1])) if len(parts) == 3 and all(map(str.isdecimal, parts[:2])) else None
