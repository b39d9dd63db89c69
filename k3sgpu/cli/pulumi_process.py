"""Runs Pulumi's own program, which the user has installed and logged in."""

import subprocess
from collections.abc import Sequence

PULUMI_SECONDS = 60
"""How long one command of Pulumi about a stack's configuration or outputs may take."""


class PulumiFailed(Exception):
    """Pulumi did not do what it was asked; the text is the last line of what it said."""


def run_pulumi(arguments: Sequence[str], secret: str = "") -> str:
    """Runs Pulumi with `secret` as its standard input, and returns what it prints. Raises PulumiFailed."""
    try:
        done = subprocess.run(
            ["pulumi", *arguments, "--non-interactive"],
            input=secret,
            capture_output=True,
            text=True,
            timeout=PULUMI_SECONDS,
        )
    except FileNotFoundError:
        raise PulumiFailed("there is no program pulumi here") from None
    except subprocess.TimeoutExpired:
        raise PulumiFailed(f"pulumi {arguments[0]} took longer than {PULUMI_SECONDS} s") from None
    if not done.returncode:
        return done.stdout
    said = (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]
    raise PulumiFailed(said.replace(secret, "***") if secret else said)
