"""Between the stack file and the components. Nothing here registers a resource.

inputs          the stack file and the files that it names, read and checked
arguments       the components' arguments
host_arguments  the arguments of a single host
outputs         the stack's outputs
team_evictions  whom a smaller guarantee would evict
"""
