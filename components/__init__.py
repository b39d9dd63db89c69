"""The components of the graph, one Pulumi ComponentResource a file.

They take numbers and texts. They may import k3sgpu.handoff, k3sgpu.hosts.scripts and the modules directly in
k3sgpu (problem, report, wellknown, timeouts, polling, hints), and know nothing of stack files, the fit or
doctor's rules.
"""
