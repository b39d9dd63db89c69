"""What was built by hand, as a stack file describes it: k3s on machines, the operator and its sharing.

- machine_k3s.py        what k3s is on a machine, from what read-k3s.sh prints; reading.py runs that there
- found_options.py, found_files.py  k3s's options, and its other files
- same_cluster.py       whether machines are the nodes of one cluster
- k3s_settings.py       from there to the section k3s and the hosts; machine_pools.py to the pools
- comparison.py         whether a stack file describes the same k3s, and the permission to take it over
- helm_releases.py      Helm's records of releases
- cluster_objects.py    reads what the operator consists of, over the API
- sharing_profiles.py   configurations of the device plugin as profiles
- gpu_nodes.py          nodes with cards, from their labels
- operator_settings.py  the sections of the stack file, and what they cannot express
- existing_pools.py, existing_cluster.py  the whole stack file of a cluster that is used through a kubeconfig
- stack_file.py         the text of the stack file
"""
