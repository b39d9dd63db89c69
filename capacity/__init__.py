"""Pure arithmetic: what nodes will offer, whether the workloads fit, what the scheduler will say. No I/O."""

from .fit import Fit, Pending, Seat, fit
from .live import Seen, seen
from .offer import NodeOffer, config_data, config_key, device_plugin_config, offers
from .picture import picture
from .svg import svg

__all__ = [
    "Fit",
    "NodeOffer",
    "Pending",
    "Seat",
    "Seen",
    "config_data",
    "config_key",
    "device_plugin_config",
    "fit",
    "offers",
    "picture",
    "seen",
    "svg",
]
