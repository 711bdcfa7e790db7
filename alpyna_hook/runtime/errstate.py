"""NumPy's floating-point error state (np.errstate, np.seterr) for compiled loops.

Kernels with NumPy scalars report the FP flags that were raised. Those of categories which the program does not ignore
are faults: the interpreter then warns, raises or calls as the state says. The guard reads the state at each call and
hands the kernel the mask of such flags, so that one kernel serves all states.
"""

from __future__ import annotations

from contextvars import ContextVar
from functools import cache
from typing import Any

from alpyna_hook.ir.abi import FP_DIVIDE, FP_INVALID, FP_OVERFLOW, FP_UNDERFLOW
from alpyna_hook.runtime import guard

FLAGS = {"invalid": FP_INVALID, "divide": FP_DIVIDE, "over": FP_OVERFLOW, "under": FP_UNDERFLOW}


@cache
def watch() -> None:
    """Tells the guard where the error state is; needed before an entry with an `fp_mask` is made. Imports NumPy."""
    import numpy as np

    guard.set_error_state(_variable(), lambda: dict(np.geterr()), FLAGS)  # type: ignore[arg-type]


def mask() -> int:
    """The flags that the current state does not ignore."""
    import numpy as np

    state: dict[str, str] = dict(np.geterr())  # type: ignore[arg-type]
    return sum(flag for category, flag in FLAGS.items() if state[category] != "ignore")


def _variable() -> ContextVar[Any] | None:
    """The context variable that holds the error state: a name of NumPy's inside (2.0 to 2.4 have it). None in a NumPy
    that keeps its state elsewhere: then every call asks np.geterr, which takes microseconds."""
    import numpy as np

    try:
        from numpy._core.umath import _extobj_contextvar as variable
    except ImportError:
        return None
    if type(variable) is not ContextVar:
        return None
    seen = []
    for mode in ("ignore", "raise"):
        with np.errstate(all=mode):
            seen.append(variable.get(None))
    return variable if seen[0] is not seen[1] and None not in seen else None
