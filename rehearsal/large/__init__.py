"""A stack of a hundred machines, from `up` to destroy: `make e2e-large`."""
