"""Pure arithmetic: what nodes will offer, whether the workloads fit, what the scheduler will say. No I/O."""

from k3sgpu.capacity.device_plugin import (
    config_key,
    config_map_data,
    config_map_name,
    default_config_key,
    device_plugin_config,
)
from k3sgpu.capacity.fit import Fit, Pending, Placement, fit
from k3sgpu.capacity.node_usage import NodeUsage, node_usage
from k3sgpu.capacity.offers import NodeOffer, offers
from k3sgpu.capacity.render.slice_map import render_slice_map
from k3sgpu.capacity.render.svg import render_svg
from k3sgpu.capacity.team_shares import TeamShare, team_shares

__all__ = [
    "Fit",
    "NodeOffer",
    "NodeUsage",
    "Pending",
    "Placement",
    "TeamShare",
    "config_key",
    "config_map_data",
    "config_map_name",
    "default_config_key",
    "device_plugin_config",
    "fit",
    "node_usage",
    "offers",
    "render_slice_map",
    "render_svg",
    "team_shares",
]
