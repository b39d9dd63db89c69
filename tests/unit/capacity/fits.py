"""The fit of a stack file, for the tests."""

from k3sgpu import capacity
from k3sgpu.settings import Settings


def fit_of_settings(settings: Settings) -> capacity.Fit:
    """The fit of these settings on what their nodes will offer."""
    return capacity.fit(settings, capacity.offers(settings))
