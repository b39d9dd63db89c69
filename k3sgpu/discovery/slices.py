"""Into how many slices a card is divided when nobody says: a first number to work with, and its reason."""

SLICE_MIB = 1792
"""The least memory of a slice. A process that uses CUDA takes 300 to 500 MiB for its context, on the large
cards more, before it stores anything; with this much a small model has another gigabyte. A card of 11 GiB
gets six slices by it, as in the article that the project grew from."""
MOST_SLICES = 10
"""Slices take turns, so that with n busy ones each computes a n-th of the time: more are of use only to
programs that mostly wait, and who has such can say so."""


def default_slices(memory_mib: int) -> int:
    """The number of slices of a card or a partition with this memory; 1: too small to share."""
    return max(1, min(MOST_SLICES, memory_mib // SLICE_MIB))


def reason(memory_mib: int, slices: int, chosen: bool) -> str:
    """Why there are so many slices, in a line for the stack file."""
    each = f"about {memory_mib // slices} MiB a slice, which nothing enforces"
    if chosen:
        return f"{slices} as you chose: {each}"
    if slices == MOST_SLICES:
        return f"{slices}, as more would wait too long for their turn: {each}"
    return f"{slices}, so that a slice has {SLICE_MIB} MiB or more: {each}"
