"""Every deadline and interval of the product, in seconds unless its name says otherwise, with its reason."""

# The cluster's API.

NODES_THERE_SECONDS = 60
"""How long the first look at an existing cluster waits for what may be restarting just now."""

# SSH, and what is run over it.

# Scripts on hosts.

# Pulumi's own connections.
