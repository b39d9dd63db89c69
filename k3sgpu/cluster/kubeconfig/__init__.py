"""A person's own kubeconfig, and one stack's entries in it."""
