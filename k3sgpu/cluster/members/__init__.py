"""What a member of a team can find out with nothing but the own kubeconfig: `free` and `why`.

- view.py reads the API; the other modules are pure: API objects in, plain values out
- pools.py  the slices of each pool: which are free, and what bounds them
- free_text.py  the text of `free`
- subject.py  what a name means to `why`: a pod or a workload, with its pods and events
- why.py  the reasons: why pods do not exist (refusals.py), have no node (placement.py), or do not run
  (outcomes.py); findings.py has their form and text
"""
