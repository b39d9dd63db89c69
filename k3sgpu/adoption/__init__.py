"""What was built by hand, as a stack file describes it: the operator in a cluster and its sharing.

- helm_releases.py      Helm's records of releases
- cluster_objects.py    reads what the operator consists of, over the API
- sharing_profiles.py   configurations of the device plugin as profiles
- gpu_nodes.py          nodes with cards, from their labels
- operator_settings.py  the sections of the stack file, and what they cannot express
"""
