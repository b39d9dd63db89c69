"""The bench: what an `up`, a preview and a fit take, beside what they could take at best.
rehearsal/reports/bench.md.

Contenders of one part take turns in one run, so that whatever else a computer does hits them alike; what
counts is the ratio of their medians. A run of the engine is a process of its own, as it is for people.
"""
