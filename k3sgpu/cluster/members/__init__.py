"""What a member of a team can find out with nothing but the own kubeconfig: `free` and `why`.

- view.py reads the API; the other modules are pure: API objects in, plain values out
- pools.py  the slices of each pool: which are free, and what bounds them
- free_text.py  the text of `free`
"""
