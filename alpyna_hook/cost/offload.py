"""Predicted seconds of a nest on an accelerator: launches, transfers, and what its work items compute and move.

In: the work of one call, in seconds and bytes as the host would have them; the device's figures.  Out: seconds.

- starvation: a device works at the share of its rate that its work items fill (occupancy; Hong & Kim, "An analytical
  model for a GPU architecture with memory-level and thread-level parallelism awareness", ISCA 2009; with `saturate`
  measured in place of their warp counts);
- each of computing and memory hides the other, as in the roofline (Williams, Waterman, Patterson, CACM 2009);
- transfers: latency + size / rate (Boyer, Meng, Kumaran, "Improving GPU performance prediction with data transfer
  modeling", IPDPS workshops 2013);
- what is not spread over work items runs on one, at the speed of one.
"""

from __future__ import annotations

from dataclasses import dataclass

from alpyna_hook.cost.machine import DeviceFigures, Profile
from alpyna_hook.cost.tape import larger, smaller

# The host's part in Python, as measured on a 3.7 GHz Zen 4 (copies of 2 to 4 arrays, updates of 2 to 5):
DRIVER_S = 1.5e-5  # slots, the driver itself
DRIVER_ARRAY_S = 1e-5  # for each array: its view, its buffer
DRIVER_LAUNCH_S = 3e-6  # for each launch
DRIVER_BLOCKS_S = 2e-5  # for what a grid launched in blocks needs: more buffers, the look at how far it came
MEMORY_FILL = 0.25  # of `saturate`: work items that draw the whole bandwidth


@dataclass(frozen=True, slots=True)
class Work:
    """One call.

    serial_s, shared_s  computing outside and inside the grids, seconds of one core of the host
    memory_s            of all, on the host with as many threads as the device has cores (style "rows")
    saving_s            copying what a fault or a failure would have to undo, and what goes with that
    launches, items     grids started; work items of one, in the mean
    blocks              that one grid is launched in; 0: as a whole
    moved               bytes that come from, or go to, main memory
    sent, fetched       bytes copied to the device and back; `arrays` of them each way, `placed` in all
    """

    serial_s: float
    shared_s: float
    memory_s: float
    saving_s: float
    launches: float
    items: float
    moved: float
    sent: float
    fetched: float
    arrays: tuple[int, int]
    placed: int = 0
    blocks: float = 0.0


def seconds(work: Work, device: DeviceFigures, profile: Profile, cores: float) -> float:
    """Seconds of the whole call. `cores`: of the host, as far as a device that is the host's CPU can use them."""
    launches = larger(work.blocks, larger(work.launches, 1.0))
    fixed = DRIVER_S + device.launch_s + (launches - 1.0) * device.enqueue_s + launches * DRIVER_LAUNCH_S
    fixed += work.saving_s + work.placed * DRIVER_ARRAY_S
    if device.shares_memory:
        moving = sum(work.arrays) * (device.to_s + device.from_s) / 2.0
    else:
        moving = work.arrays[0] * device.to_s + work.sent / device.to_bps
        moving += work.arrays[1] * device.from_s + work.fetched / device.from_bps
    if device.style == "rows":
        used = larger(smaller(cores, work.items), 1.0)
        return fixed + moving + larger(work.serial_s + work.shared_s / used, work.memory_s)
    speed = device.rates["f64"] * profile.scalar["mul.f64"]  # the whole device over one core of the host
    filled = smaller(larger(work.items, 1.0) / device.saturate, 1.0)
    drawn = smaller(larger(work.items, 1.0) / (MEMORY_FILL * device.saturate), 1.0)
    busy = larger(work.shared_s / (speed * filled), work.moved / (device.bandwidth * drawn))
    return fixed + moving + busy + work.serial_s / (speed / device.saturate)
