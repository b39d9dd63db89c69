"""The hashes of a k3s release, as lines for the stack file."""

from k3sgpu.settings.files.release_pins import main

__all__ = ["main"]
