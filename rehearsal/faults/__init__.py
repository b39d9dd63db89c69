"""Faults that are injected into machines, networks and clusters of the rehearsal while the real engine runs.

The modules with an AREA hold one entry for each fault; `catalogue` collects them. `run` runs entries,
`parallel` both scopes at the same time, `leaks` looks for secrets after each one, `table` writes
rehearsal/reports/faults.md.
`make faults` calls `python -m rehearsal.faults NAME,AREA,…|all`.
"""
