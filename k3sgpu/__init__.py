"""Kubernetes GPU sharing on k3s: everything of the product that is not Pulumi."""
