"""For the program: python -m bring, told by K3SGPU_BRING, the secrets that reach the machine on stdin.

Exit status: 0 the machine has all files, 1 it has not, 2 it could not begin.
"""

import asyncio
import json
import os
import sys
from pathlib import Path

from bring.send import NotSent, send
from doctor.keys import logins_for, read_secrets
from doctor.told import Refused, from_environment


def main() -> int:
    """The exit status; what failed goes where Pulumi looks for it."""
    told = from_environment("K3SGPU_BRING")
    if not told:
        return _say(__doc__ or "", 2)
    plan = json.loads(told)
    try:
        ends = {"hosts": [plan["host"]], "bastion": plan["bastion"], "agent": plan["agent"]}
        logins = logins_for(ends, read_secrets(sys.stdin.read()), os.environ.get("SSH_AUTH_SOCK", ""))
        print(asyncio.run(send(plan, logins, Path(plan["release"]["folder"]).expanduser())))
    except Refused as refusal:
        return _say(f"bring: {refusal}", 2)
    except NotSent as reason:
        return _say(str(reason), 1)
    return 0


def _say(text: str, status: int) -> int:
    print(text, file=sys.stderr, flush=True)
    return status


if __name__ == "__main__":
    sys.exit(main())
