"""Checks hosts before an installation: the facts of machines, the rules about them, one report."""
