"""For the program: python -m k3sgpu stage, told by K3SGPU_BRING, the secrets that reach the machine on stdin.

Exit status: 0 the machine has all files, 1 it has not, 2 it could not begin.
"""

import asyncio
import json
import os
import sys
from pathlib import Path

from k3sgpu.handoff.environment import read_variable
from k3sgpu.hosts.logins import logins_for, read_secrets
from k3sgpu.hosts.release_upload import NotSent, send
from k3sgpu.problem import InputError


def main(arguments: list[str]) -> int:
    """The exit status; what failed goes where Pulumi looks for it."""
    told = read_variable("K3SGPU_BRING")
    if not told:
        return _say(__doc__ or "", 2)
    plan = json.loads(told)
    try:
        ends = {"hosts": [plan["host"]], "bastion": plan["bastion"], "agent": plan["agent"]}
        logins = logins_for(ends, read_secrets(sys.stdin.read()), os.environ.get("SSH_AUTH_SOCK", ""))
        print(asyncio.run(send(plan, logins, Path(plan["release"]["folder"]).expanduser())))
    except InputError as refusal:
        return _say(f"bring: {refusal}", 2)
    except NotSent as reason:
        return _say(str(reason), 1)
    return 0


def _say(text: str, status: int) -> int:
    print(text, file=sys.stderr, flush=True)
    return status
