"""What to do about errors whose cause the plugins name, and no way out: a machine or the cluster that stops
answering in the middle of a run, what is NVIDIA's and somebody has deleted, what somebody has made already.

Not for what a destroy deletes, and so not for a cluster that is there already, from which it deletes all: it
runs without the program, and the engine would say no more than that a hook is missing.
"""

import pulumi

_AGAIN = """\
{name}: there was no connection to its machine, or it broke
remedy:   up again; what had begun on the machine ends by itself, is waited for and found done
          if again not: .venv/bin/python -m k3sgpu doctor hosts --file Pulumi.{stack}.yaml says why"""
_ANEW = """ with that the operator's settings
remedy:   forget the operator, so that it is installed anew over what is there of it:
          kubectl --namespace gpu-operator delete secret -l owner=helm,name=gpu-operator
          then refresh, then up   # pods with GPUs start again"""
_WAYS = {
    # pulumi-command: of dials, of a connection that ended before its script (golang.org/x/crypto/ssh).
    "failed attempts: ": _AGAIN,
    "without exit status": _AGAIN,
    "connection lost": _AGAIN,
    # pulumi-kubernetes, of an API server that it asked in vain.
    "cluster is unreachable": """\
{name}: the cluster's API server does not answer
remedy:   on its server: systemctl status k3s; journalctl -u k3s says why it does not run
          then up; with another k3s.generation, up starts k3s there itself""",
    # An API server that does not know the kind: its CRD is gone.
    'no matches for kind "ClusterPolicy"': "{name}: somebody has deleted NVIDIA's CRDs, and" + _ANEW,
    # A Patch would make what is gone, with its own fields alone, and the CRD asks for more.
    "spec.operator: Required value": "{name}: somebody has deleted the ClusterPolicy, and" + _ANEW,
    # An API server that has an object of this name; nobody's is taken over unasked.
    'namespaces "gpu-operator" already exists': """\
{name}: the cluster has a namespace gpu-operator that is not this stack's: another GPU Operator, or its rest
remedy:   helm --namespace gpu-operator list   # whose it is; a cluster has room for one
          somebody's that may go, then this one comes:
          helm --namespace gpu-operator uninstall NAME --wait; kubectl delete namespace gpu-operator; up
          somebody's that stays: gpuOperator: {{enabled: false}}, and no sharing by this stack
          this stack's own, whose state is lost: helm --namespace gpu-operator uninstall gpu-operator, then
          take the rest over, once: PULUMI_K8S_UPSERT_EXISTING_OBJECTS=true pulumi up""",
    '" already exists': """\
{name}: the cluster has an object of this name that is not this stack's: the error above has its kind and name
remedy:   somebody's: kubectl delete it, or give this one another name in the stack file; then up
          this stack's own, whose state is lost, is taken over by a single
          PULUMI_K8S_UPSERT_EXISTING_OBJECTS=true pulumi up""",
}


def hooks() -> pulumi.ResourceHookBinding:
    """For whatever talks to a machine or to the cluster. One a program: a hook's name is there once."""
    return pulumi.ResourceHookBinding(on_error=[pulumi.ErrorHook("way-out", _explain)])


def _explain(args: pulumi.ErrorHookArgs) -> bool:
    if way := way_out(args.errors, args.name, pulumi.get_stack()):
        pulumi.log.error(way)
    return False  # the plugins have tried for long enough


def way_out(errors: list[str], name: str, stack: str) -> str | None:
    """What to do about the resource `name`; None where its errors are of another kind."""
    for words, way in _WAYS.items():
        if any(words in error for error in errors):
            return way.format(name=name, stack=stack)
    return None
