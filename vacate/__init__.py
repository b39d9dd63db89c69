"""Takes nodes out of use while their cards change hands, and puts them back.

MPS takes a card for itself, and MIG partitions are other devices than the card they are cut from: pods that
hold a GPU would keep such a change from happening, or lose the card under their feet.
`python -m vacate leave` cordons the nodes that are about to change so and evicts their GPU pods;
`python -m vacate return` is for when the new slices are there. Nothing is forced: what does not go by the
deadline is named, and its node stays in use.
"""
