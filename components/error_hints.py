"""What to do about errors of which the plugins only name the cause.

Examples: a host or the API server that stops answering during a run, an object of NVIDIA's that somebody
deleted, an object that somebody else created.

Not used for deletes: a destroy does not run the program, so the engine would not find the hook. For the same
reason not used with an existing cluster, whose objects are deleted one by one.
"""

import re

import pulumi

from k3sgpu.foreign_text import escape_lines
from k3sgpu.hints import Hint, find_hint
from k3sgpu.problem import Problem, block

_REINSTALL = """\
delete Helm's record of the operator, so that it is installed again over what is left of it:
kubectl --namespace gpu-operator delete secret -l owner=helm,name=gpu-operator
then refresh, then up   # pods with GPUs start again"""

MAX_SCRIPT = 500
"""Characters of a script. The plugin's message quotes the script before its output, so the reason stands
far below a longer one."""
MAX_LINE = 1000
"""Characters of one line of a script's output."""

# pulumi-command: the reason, the whole script as Go quotes it on one line, and below it all that it printed
# (provider/pkg/provider/remote/commandOutputs.go).
_RAN = re.compile(r': running "(?:[^"\\\n]|\\.)*":\n')

HINTS = (
    # pulumi-command: no connection, or one that ended before its script (golang.org/x/crypto/ssh).
    Hint(
        r"failed attempts: |without exit status|connection lost",
        """\
up again: what has begun on the host runs to its end by itself, and the next up waits for it
if it fails again: sh k3sgpu/run.sh doctor hosts --file Pulumi.{stack}.yaml says why""",
        found="there was no connection to its host, or it broke",
        expected="a connection until the script has ended",
    ),
    # pulumi-kubernetes.
    Hint(
        r"cluster is unreachable",
        """\
the error above names the address; on the server that has it, or to which it leads:
systemctl status k3s; journalctl -u k3s says why it does not run
then up, which also installs a server that an earlier run did not reach; with another k3s.generation, up
starts k3s there""",
        found="the cluster's API server does not answer",
        expected="an API server that answers",
    ),
    # The API server does not know the kind: it is older than v1.36.
    Hint(
        r'no matches for kind "MutatingAdmissionPolicy',
        "upgrade Kubernetes to v1.36 or later, then up again; or take teams out of the stack file",
        found="the API server is too old for teams",
        expected="MutatingAdmissionPolicy in admissionregistration.k8s.io/v1, as Kubernetes v1.36 has it",
    ),
    # The API server does not know the kind: its CRD is gone.
    Hint(
        r'no matches for kind "ClusterPolicy"',
        _REINSTALL,
        found="somebody has deleted NVIDIA's CRDs, and with them the operator's settings",
        expected="the CRDs of the GPU Operator",
    ),
    # A Patch creates a missing object with its own fields alone, and the CRD requires more.
    Hint(
        r"spec\.operator: Required value",
        _REINSTALL,
        found="somebody has deleted the ClusterPolicy, and with it the operator's settings",
        expected="the ClusterPolicy cluster-policy",
    ),
    # Objects that exist already are not taken over unless the user says so.
    Hint(
        r'namespaces "gpu-operator" already exists',
        """\
helm --namespace gpu-operator list   # shows whose it is
one that was installed by hand: docs/guides/adopt.md takes it over as it is
another one that may go; then this one can be installed:
helm --namespace gpu-operator uninstall NAME --wait; kubectl delete namespace gpu-operator; up
another one that stays: gpuOperator: {{enabled: false}}, without sharing by this stack
this stack's own, whose state is lost: helm --namespace gpu-operator uninstall gpu-operator, then
take over the rest, once: PULUMI_K8S_UPSERT_EXISTING_OBJECTS=true pulumi up""",
        found="the cluster has a namespace gpu-operator that is not this stack's: another GPU Operator, or "
        "what is left of one",
        expected="no other GPU Operator: a cluster has room for one",
    ),
    Hint(
        r'" already exists',
        """\
somebody else's: kubectl delete it, or rename this one in the stack file; then up
this stack's own, whose state is lost: take it over, once:
PULUMI_K8S_UPSERT_EXISTING_OBJECTS=true pulumi up""",
        found="the cluster has an object of this name that is not this stack's: the error above names it",
        expected="no such object, or this stack's",
    ),
)


def hooks() -> pulumi.ResourceHookBinding:
    """The error hook of every resource that talks to a host or to the cluster. Call it once in a program: the
    SDK registers a hook's name once."""
    return pulumi.ResourceHookBinding(on_error=[pulumi.ErrorHook("way-out", _explain)])


def explain(errors: list[str], name: str, stack: str) -> str | None:
    """What to do about the errors of the resource `name`, or the last lines that its script printed.

    None for errors that no hint is about and that are short enough to be read as they are.
    """
    # The text of a script must not match a hint.
    hint = find_hint(HINTS, "\n".join(_RAN.sub(": ", error) for error in errors), stack=stack)
    if hint:
        return engine_text(hint.as_problem(name))
    ended = next((ran for error in errors if (ran := _RAN.search(error)) and len(ran[0]) > MAX_SCRIPT), None)
    return engine_text(_script_problem(name, ended.string[ended.end() :])) if ended else None


def _script_problem(name: str, output: str) -> Problem:
    """The problem that a script on a host names at the end of its output: a line, and a remedy below it."""
    lines = [line for line in output.splitlines() if line.strip()] or ["nothing was printed"]
    begin = next((number for number in reversed(range(len(lines))) if not lines[number].startswith(" ")), 0)
    found, *rest = (escape_lines(line.strip(), MAX_LINE) for line in lines[begin:])
    remedy = "\n".join(line.removeprefix("remedy: ") for line in rest)
    return Problem(
        name,
        found,
        "a script that runs to its end",
        remedy or "the script's output above says more; then up again",
    )


def engine_text(problem: Problem) -> str:
    """A problem as the engine prints it, which begins with `error: ` itself."""
    return block(problem, problem.title).removeprefix(f"{problem.severity}: ")


def _explain(args: pulumi.ErrorHookArgs) -> bool:
    if text := explain(args.errors, args.name, pulumi.get_stack()):
        pulumi.log.error(text)
    return False  # no retry: the plugins have retried for long enough
