"""Faults put into machines, networks and clusters of the rehearsal on purpose, and what comes of them.

`catalogue` has one entry a fault, `run` runs them under the real engine, `lanes` both settings beside each
other, `leaks` looks for secrets after each, `table` writes rehearsal/reports/faults.md. `python -m
rehearsal.faults NAME|all …`;
`make faults` calls it.
"""
