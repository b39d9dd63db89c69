"""Guarantees of teams before the real scheduler, with real quotas, admission policies and preemption."""
