"""What to do about errors whose cause the plugins name, and no way out: a machine or the cluster that stops
answering in the middle of a run, NVIDIA's kinds that somebody has deleted.

Not for what a destroy deletes: it runs without the program, and the engine would say no more than that a hook
is missing.
"""

import pulumi

_AGAIN = """\
{name}: there was no connection to its machine, or it broke
do:       up again; what had begun on the machine ends by itself, is waited for and found done
          if again not: .venv/bin/python -m doctor hosts --file Pulumi.{stack}.yaml says why"""
_WAYS = {
    # pulumi-command: of dials, of a connection that ended before its script (golang.org/x/crypto/ssh).
    "failed attempts: ": _AGAIN,
    "without exit status": _AGAIN,
    "connection lost": _AGAIN,
    # pulumi-kubernetes, of an API server that it asked in vain.
    "cluster is unreachable": """\
{name}: the cluster's API server does not answer
do:       on its server: systemctl status k3s; journalctl -u k3s says why it does not run
          then up; with another k3s.generation, up starts k3s there itself""",
    # An API server that does not know the kind: its CRD is gone.
    'no matches for kind "ClusterPolicy"': """\
{name}: somebody has deleted NVIDIA's CRDs, and the operator's settings with them
do:       forget the operator, so that it is installed anew over what is there of it:
          kubectl --namespace gpu-operator delete secret -l owner=helm,name=gpu-operator
          then refresh, then up   # pods with GPUs start again""",
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
