"""Plans: how one variant of a specialisation is to be run. Out of `transform`, into `codegen`.

A plan is the (transformed) typed nest with one `LoopPlan` per loop that is not simply sequential.
Nothing here knows about a device or a language: a `grid` mapping for accelerators is another field of
`LoopPlan`, not another kind of plan.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from alpyna_hook.ir.abi import RESUME_SLOTS
from alpyna_hook.ir.affine import Predicate
from alpyna_hook.ir.nodes import Nest

Variant: TypeAlias = Literal["interp", "seq", "omp", "cuda", "opencl"]
# How work items take the iterations: the host has none; one iteration each; a run of iterations each.
Style: TypeAlias = Literal["", "grid", "rows"]
HOST_VARIANTS: tuple[Variant, ...] = ("seq", "omp")
# Of a grid that is launched in blocks: at work at a time, at most; begun, of which the device knows the last ones.
BLOCKS_AT_ONCE, BLOCKS_NOTED = 2, 4


@dataclass(frozen=True, slots=True)
class ResumePoint:
    """Where the interpreter goes on after a fault in a blocked loop (transform/blocks.py).

    counter  of the blocked loop
    loops    (line, column) of the Python loops from the outermost one to the blocked one
    skipped  (line, column) of loops in these that are done already when the blocked loop is entered
    carried  the live-outs come back with the values that they have there
    """

    counter: str
    loops: tuple[tuple[int, int], ...]
    skipped: tuple[tuple[int, int], ...]
    carried: bool = False


@dataclass(frozen=True, slots=True)
class LoopPlan:
    """How one loop runs.

    parallel          its iterations are shared among threads
    collapse          how many perfectly nested loops, this one first, form the parallel iteration space
    grid              > 0: on a device its iterations are work items along this axis (1: x, 2: y, 3: z)
    schedule          OpenMP schedule: "static", or "guided" / "dynamic" where iterations differ in work
    private           scalars of this loop that are declared outside it yet private to each iteration
    reductions        (scalar, operator) combined over the threads
    bounded           those of the reductions, integer sums, whose overflow must be noted whatever the order: the sum
                      of magnitudes is kept, too, and is a fault where it does not fit
    array_reductions  (array, operator): each thread adds into a copy of its own, merged at the end
    last              scalars, written by every iteration, whose value after the last one is needed
    conditional       scalars written by some iterations whose last written value is needed
    independent       no dependence is carried by this loop: the C compiler may vectorise it
    saved             (array, c): run, or launched, in blocks; iteration i first saves row i + c, which is all it writes
    quiet             of a loop with `saved`: it does nothing that raises an FP flag which NumPy would warn of
    strip             > 0: run this many consecutive iterations side by side (strip-mined, the scalars of
                      the body expanded, inner loops interchanged outwards; Allen & Kennedy, ch. 5 and 8)
    min_work          > 0: run by the threads only where trip count * `work` (operations per iteration) exceeds it
    """

    counter: str
    parallel: bool = False
    collapse: int = 1
    grid: int = 0
    schedule: Literal["static", "guided", "dynamic"] = "static"
    private: tuple[str, ...] = ()
    reductions: tuple[tuple[str, str], ...] = ()
    bounded: tuple[str, ...] = ()
    array_reductions: tuple[tuple[str, str], ...] = ()
    last: tuple[str, ...] = ()
    conditional: tuple[str, ...] = ()
    independent: bool = False
    saved: tuple[tuple[str, int], ...] = ()
    quiet: bool = False
    strip: int = 0
    min_work: int = 0
    work: int = 0


@dataclass(frozen=True, slots=True)
class Plan:
    """One variant of one specialisation.

    restrict       arrays that the guard has proved to share no memory with any other
    preconditions  all must hold at entry, else the kernel declines (return code 1)
    watch_fp       NumPy scalar float operations take part: the FP status flags are faults
    nans           comparisons of floats must raise no such flag where they meet NaNs
    faults         some check can fire in the loop: written arrays are journalled, unless
    resume         its loops run in blocks that save what they write: a point per blocked loop
    stops          it may end between two iterations of the outermost loop, for a signal (transform/stops.py)
    style          on a device, how work items take the iterations
    block_bytes    that one thread, or work item, saves in one block
    short          counters of the loops that would be grids if they had more to do than at the call it was made for
    """

    variant: Variant
    nest: Nest
    loops: tuple[LoopPlan, ...] = ()
    preconditions: tuple[Predicate, ...] = ()
    restrict: frozenset[str] = frozenset()
    watch_fp: bool = False
    nans: bool = False
    faults: bool = False
    resume: tuple[ResumePoint, ...] = ()
    stops: bool = False
    style: Style = ""
    block_bytes: int = 0
    short: tuple[str, ...] = ()

    def loop(self, counter: str) -> LoopPlan:
        """The plan of the loop that counts `counter`; a sequential one if there is none."""
        for loop in self.loops:
            if loop.counter == counter:
                return loop
        return LoopPlan(counter)


@dataclass(frozen=True, slots=True)
class KernelParam:
    """One run of `in` slots: a live-in by name, the mask of FP flags that count as faults, the address of an
    `alp_ufunc` for a NumPy function on one representation, or whom to ask whether to stop (codegen/stops.py)."""

    kind: Literal["live", "fp_mask", "ufunc", "poll"]
    name: str = ""
    rep: str = ""


@dataclass(frozen=True, slots=True)
class KernelOut:
    """Where a live-out comes back: its `out` slot, the slot of its class tag and of its set flag (-1: none)."""

    name: str
    classes: tuple[str, ...]
    rep: str
    slot: int
    tag_slot: int = -1
    set_slot: int = -1


@dataclass(frozen=True, slots=True)
class DeviceKernel:
    """One `__kernel` / `__global__` function of a device program.

    args      in order: "buffer", or the representation of a number passed by value ("i64", "f64", "f32", ...)
    axes      number of grid axes that it uses, 1 to 3; it strides over each by the size of the grid, so that
              any grid, however small, does all the work
    partials  (operator, representation) of the results that each work item leaves behind: for each, a buffer with one
              element per work item comes after `args`
    """

    name: str
    args: tuple[str, ...]
    axes: int
    partials: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class DeviceProgram:
    """Kernels, and the host's part of a nest that runs on a device (codegen/device.py).

    style    "grid": a work item per iteration; "rows": few work items, each with a run of iterations, which is what
             suits an OpenCL device that is a CPU
    driver   Python source that defines `run(rt, *inputs)`; devices/program.py says what `rt` offers. It evaluates
             the entry conditions, runs the sequential outer loops and launches the kernels. It returns
             (return code, out slots), as codegen/kernel.py has them: a failed precondition is (1, [its number]), a
             fault (2, [detail]), success (0, values of the slots from slot 1 on, as Python numbers); (3, those values)
             where a grid launched in blocks stopped half-way, as rt.done says
    inputs   of `run`: per live-in, in order, an array's name (its buffer), name_n0.. (dimensions) and name_s0..
             (strides in elements), or a scalar's name (a Python number); then `fp_mask`, if it is among the params
    reads    arrays (live-ins, by IR name) whose contents the kernels need
    writes   arrays that they write to
    overwritten  those of the written whose every element is written whatever it held before: need no upload; the
             driver may also define `overwritten(*inputs)`, which gives those of which that holds at this call
    needs    what the device must be able to do, else it does not run this: "fp64", "denorm32" (single precision with
             denormal numbers), "div32" (correctly rounded single-precision division and square root), "atomics64"
             (atomic addition of 64-bit integers)
    resident  slots of `rt.out` that the kernels use, for scalars that stay on the device
    """

    style: Style
    kernels: tuple[DeviceKernel, ...]
    driver: str
    inputs: tuple[str, ...]
    reads: tuple[str, ...]
    writes: tuple[str, ...]
    overwritten: tuple[str, ...] = ()
    needs: tuple[str, ...] = ()
    resident: int = 0


@dataclass(frozen=True, slots=True)
class KernelSource:
    """Text of one kernel and how to call it (ABI: codegen/kernel.py).

    faults  it can return 2 or 3; `resume` is empty: the caller must have journalled the written arrays
    device  the program, if the text is for a device; it saves what it writes by itself
    """

    text: str
    params: tuple[KernelParam, ...]
    outs: tuple[KernelOut, ...]
    out_slots: int
    faults: bool
    openmp: bool
    resume: tuple[ResumePoint, ...] = ()
    device: DeviceProgram | None = None

    @property
    def record(self) -> int:
        """First of the `out` slots that are the resume record; -1: there is none."""
        return self.out_slots - RESUME_SLOTS if self.resume else -1
