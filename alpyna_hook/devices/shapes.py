"""How many work items a launch has.

In:  the iterations along each axis, x first; the device's limits.  Out: groups, and work items of a group.
"""

from __future__ import annotations

import math

from alpyna_hook.devices.base import Limits


def rows(extents: tuple[int, ...], limits: Limits) -> tuple[int, ...]:
    """Work items for a device whose lanes each want a long run of iterations: as many as there are lanes, along the
    slowest axis first."""
    left = limits.lanes
    groups = []
    for extent in reversed(extents):
        groups.append(min(extent, left))
        left = max(left // groups[-1], 1)
    return tuple(reversed(groups))


def grid(
    extents: tuple[int, ...], limits: Limits, most: int, lanes: int = 0
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """(groups, work items of a group) for a work item per iteration, or as near as the device allows; with `lanes`, at
    most about so many work items. Groups are wide along x, whose neighbours lie side by side in memory."""
    budget = min(256, limits.group, most)
    group = []
    for axis, extent in enumerate(extents):
        last = axis == len(extents) - 1
        widest = budget if last else min(budget, 32 if axis == 0 else 4)
        width = 1
        while 2 * width <= widest and width < extent:
            width *= 2
        group.append(width)
        budget //= width
    groups = [min(-(-extent // width), most) for extent, width, most in zip(extents, group, limits.axes)]
    if lanes:
        left = max(lanes // math.prod(group), 1)
        for axis in reversed(range(len(groups))):
            groups[axis] = min(groups[axis], left)
            left = max(left // groups[axis], 1)
    return tuple(groups), tuple(group)
