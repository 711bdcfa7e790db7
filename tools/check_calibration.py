"""How repeatable the machine profile is: python tools/check_calibration.py [--runs N] [--quick]

Calibrates N times (2) and prints, for every figure that was measured in all runs, the largest over the smallest value;
then the median of these. The bar: under 1.10. Nothing is stored. Noisy figures are left out and counted.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from alpyna_hook.cost import measure  # noqa: E402
from alpyna_hook.cost.machine import Profile, figures, group_of  # noqa: E402
from alpyna_hook.cost.settle import benchmarked  # noqa: E402

BAR = 1.10


def spreads(profiles: list[Profile]) -> dict[str, float]:
    """Largest over smallest value by figure; only figures that no run found noisy."""
    noisy = {name for p in profiles for name in p.noisy}
    tables = [figures(p) for p in profiles]
    own = {f"{table}.{name}" for _, table, name, _ in benchmarked()}  # others are scaled by these
    names = [n for n in tables[0] if n not in noisy and all(group_of(n) in p.measured for p in profiles)]
    names = [n for n in names if n in own or not n.startswith(("scalar.", "vector.", "latency."))]
    return {name: max(t[name] for t in tables) / min(t[name] for t in tables) for name in names if tables[0][name] > 0}


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--runs", type=int, default=2)
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    profiles = [measure.calibrate(full=not options.quick) for _ in range(options.runs)]
    found = spreads(profiles)
    for name, spread in sorted(found.items(), key=lambda item: -item[1]):
        print(f"{name:<24} {100.0 * (spread - 1.0):6.1f} %")
    noisy = len({name for p in profiles for name in p.noisy})
    middle = statistics.median(found.values()) if found else float("inf")
    loads = ", ".join(f"{p.load.get('other_cpus', 0.0):.2f}" for p in profiles)
    print(f"median {100.0 * (middle - 1.0):.1f} %, {len(found)} figures; {noisy} noisy; cores used by others: {loads}")
    return int(middle > BAR)


if __name__ == "__main__":
    sys.exit(main())
