"""Pure arithmetic: what nodes will offer, whether the workloads fit, what the scheduler will say. No I/O."""

from k3sgpu.capacity.fit import Fit, Pending, Seat, fit
from k3sgpu.capacity.node_usage import Seen, seen
from k3sgpu.capacity.offers import NodeOffer, config_data, config_key, device_plugin_config, offers
from k3sgpu.capacity.slice_map import render_slice_map
from k3sgpu.capacity.slice_map_svg import render_svg

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
    "render_slice_map",
    "render_svg",
    "seen",
]
