"""Benchmarks of an `up`, a preview and a fit against baselines; they write rehearsal/reports/bench.md.

The contenders of a part take turns in one run, so that other load on the computer affects all of them. What
counts is the ratio of their medians. Each run of the engine is a process of its own, as it is for users.
"""
