"""Every deadline of the product, in seconds, with its reason."""

NODES_THERE_SECONDS = 60
"""How long the first look at an existing cluster waits for what may be restarting just now."""
