"""All that can only be seen on a machine with an NVIDIA GPU, in one run of under 8 minutes; one table, and JSON.

    python tools/gpu_check.py [--parts A,B] [--kernels A,B] [--json OUT]    on a machine with a driver and PyCUDA
    python tools/gpu_check.py --dry-run [--kernels A,B] [--json OUT]        anywhere: nvcc compiles every kernel

parts:
  results    every kernel with --variant cuda prints what CPython prints, byte for byte; larger ones, what the host's
             code prints
  tests      the tests of devices, the CUDA device among them
  figures    launches, copies and device memory against what the driver's own calls reach
  resident   device programs whose arrays are on the device, against the measured copy bandwidth
  residency  what is copied when loops meet arrays again, and the rates of copies and of comparing arrays with shadows
  cupy       loops over CuPy arrays, if it is installed: as CPython and CuPy run them, and in place
  hand       five kernels against numba.cuda written by hand, copies there and back included
  memory     compute-sanitizer, if it is installed, and a loop that must not leak
  oracle     `alpyna calibrate`, then tools/oracle_eval.py on this machine with its device, in the time that is left

Status 1 if a part found something wrong or slow, 2 if there is no device. A part that cannot run says so, or that there
was no time left. The JSON is written after each part.
"""

from __future__ import annotations

import argparse
import ast
import functools
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import contender
from contender import Contender, Failed

__alpyna__ = False

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tools")]
KERNELS = sorted(path.stem for path in (ROOT / "kernels").glob("*.py"))
BY_HAND = ("hilbert", "jacobi_2d", "matmul", "saxpy", "transpose")
CUPY_LOOPS = ("axpy", "quotients", "singles", "wholes", "wrapped", "matmul", "smooth", "branches", "beside", "outside",
              "fill")  # fmt: skip
MEMORY_BOUND = ("hilbert", "jacobi_2d", "saxpy", "transpose")
ARCHITECTURES = ("80", "90")
ORACLES = ("saxpy", "matmul", "conv2d", "nbody", "transpose", "histogram", "jacobi_2d", "collatz", "mandelbrot", "lu")
TIMEOUT_S = 240
MINUTES = 7.5  # for all parts
SANITIZER_S = 60
CALIBRATION_S = 25  # 20 by itself, and the start of a process with a device
LEAK_CALLS = 200
RESIDENT_ELEMENTS = 32_000_000
# A millisecond or so: at the kernels' own sizes a GPU takes no longer than the launch and the wait.
RESIDENT_SIZES = {"saxpy": ["64000000"], "hilbert": ["12000"], "transpose": ["10000"]}
ENOUGH = {"figures": 0.85, "resident": 0.80}  # of the ceiling: issue of the milestone

_started = time.monotonic()

PRETENDED = str(ROOT / "tests" / "runtime" / "pretended")

Row = dict[str, Any]  # "part", "what", "verdict" (ok, WRONG, slow, missing) and figures


def size_of(kernel: str, name: str) -> list[str]:
    """The size called `name` of a kernel, as its arguments."""
    for node in ast.parse((ROOT / "kernels" / f"{kernel}.py").read_text()).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "SIZES":
            size = ast.literal_eval(node.value)[name]
            return [str(n) for n in (size if isinstance(size, tuple) else (size,))]
    raise KeyError(kernel)


def left() -> float:
    """Seconds until all parts should be done."""
    return _started + 60 * MINUTES - time.monotonic()


def ran(
    command: list[str], environ: dict[str, str] | None = None, limit: float = TIMEOUT_S
) -> subprocess.CompletedProcess[str]:  # fmt: skip
    """A command that is done; with all that it has started if it takes too long (TimeoutExpired)."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("ALPYNA") or k == "ALPYNA_CACHE_DIR"}
    with subprocess.Popen(
        command, cwd=ROOT, env={**kept, **(environ or {})}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        start_new_session=True,
    ) as process:  # fmt: skip
        try:
            out, err = process.communicate(timeout=max(min(limit, left()), 1.0))
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            raise
    return subprocess.CompletedProcess(command, process.returncode, out, err)


def python(*command: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return ran([sys.executable, *command], environ)


def worker(mode: str, kernel: str, size: list[str]) -> list[dict[str, Any]]:
    """What tools/gpu/worker.py wrote down. Raises Failed."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "out.json")
        done = python("tools/gpu/worker.py", mode, str(out), f"kernels/{kernel}.py", *size)
        if done.returncode or not out.exists():
            raise Failed(" ".join(done.stderr.strip().splitlines()[-1:]) or f"status {done.returncode}")
        found: list[dict[str, Any]] = json.loads(out.read_text())
        return found


def side_by_side(work: Callable[[str], list[Row]], kernels: Iterable[str]) -> list[Row]:
    """`work` for each kernel, several at once; a failure is a row."""

    def safely(kernel: str) -> list[Row]:
        try:
            return work(kernel)
        except (Failed, subprocess.SubprocessError, OSError, ValueError) as error:
            return [{"what": kernel, "verdict": "WRONG", "note": str(error)}]

    with ThreadPoolExecutor(max(min(len(os.sched_getaffinity(0)), 6), 1)) as pool:
        return [row for rows in pool.map(safely, kernels) for row in rows]


# ---- without a GPU ----


def machine_code(kernel: str) -> list[Row]:
    """Every CUDA text of a kernel, compiled by nvcc for each architecture."""
    return compiled(kernel, worker("texts", kernel, size_of(kernel, "test")))


def cupys_machine_code(folder: str) -> list[Row]:
    """The same of the loops over CuPy arrays, which the tests' pretended CuPy runs meanwhile."""
    with tempfile.TemporaryDirectory() as place:
        out = Path(place, "out.json")
        done = python("tools/gpu/worker.py", "texts", str(out), "tools/gpu/cupy_loops.py", PYTHONPATH=folder)
        if done.returncode:
            raise Failed(" ".join(done.stderr.strip().splitlines()[-1:]) or f"status {done.returncode}")
        return compiled("cupy_loops", json.loads(out.read_text()))


def compiled(kernel: str, sites: list[dict[str, Any]]) -> list[Row]:
    from alpyna_hook.devices import cudacc
    from alpyna_hook.devices.base import DeviceError

    rows: list[Row] = []
    for site in sites:
        name = f"{kernel} {site['site']}"
        if not site["texts"]:
            rows.append({"what": name, "verdict": "not eligible", "note": site["why"]})
        for text in site["texts"]:
            row: Row = {"what": name, "verdict": "ok"}
            for arch in ARCHITECTURES:
                try:
                    code = cudacc._by_nvcc(cudacc.nvcc(), text, arch, cudacc.TIMEOUT)
                    row[f"sm_{arch} bytes"] = len(code)
                except DeviceError as error:
                    row |= {"verdict": "WRONG", "note": f"sm_{arch}: {error}: {error.log}"}
            rows.append(row)
    return rows


# ---- with one ----


def reported(script: str, *arguments: str) -> tuple[subprocess.CompletedProcess[str], list[Row]]:
    """A program with --variant cuda: what it did, and its loops that were reached, each with the `variants` it ran as
    and the `reason` why it did not run as others."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder, "report.json")
        done = python("-m", "alpyna", "--variant", "cuda", "--report", str(report), script, *arguments)
        sites = json.loads(report.read_text())["sites"]
    reached = [s for s in sites if s["status"] != "not_reached"]
    for site in reached:
        site["variants"] = sorted({d["variant"] for p in site["specialisations"] for d in p["decisions"]})
    return done, reached


def results(kernels: list[str]) -> list[Row]:
    def compare(kernel: str) -> list[Row]:
        rows: list[Row] = []
        for name, other in (("test", []), ("medium", ["-m", "alpyna", "--variant", "omp"])):
            size = size_of(kernel, name)
            done, sites = reported(f"kernels/{kernel}.py", *size)
            variants = sorted({variant for site in sites for variant in site["variants"]})
            reasons = [site["reason"] for site in sites if site["reason"]]
            plain = python(*other, f"kernels/{kernel}.py", *size)
            same = (done.stdout, done.returncode) == (plain.stdout, plain.returncode) and not done.stderr
            there = "cuda" in variants or any("not for cuda: " in reason for reason in reasons)
            note = "; ".join(filter(None, [done.stderr.strip(), *reasons]))
            verdict = "ok" if same and there else "WRONG"
            rows.append({"what": f"{kernel}, {name}", "verdict": verdict, "ran as": ",".join(variants), "note": note})
        return rows

    return side_by_side(compare, kernels)


def tests(kernels: list[str]) -> list[Row]:
    if find_spec("pytest") is None:
        return [{"what": "tests/devices", "verdict": "missing", "note": "pytest is not installed"}]
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "out.xml")
        done = python("-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/devices", f"--junitxml={out}")
        cases = list(xml.etree.ElementTree.parse(out).iter("testcase")) if out.exists() else []
    last = (done.stdout.strip().splitlines() or [done.stderr.strip()])[-1]
    there = sum("gpu" in case.get("name", "") and case.find("skipped") is None for case in cases)
    verdict = "WRONG" if done.returncode or not there else "ok"
    failed = [case.get("name", "") for case in cases if case.find("failure") is not None]
    note = "; ".join([last, *failed[:5]])
    return [{"what": "tests/devices", "verdict": verdict, "on the device": there, "note": note}]


def figures(kernels: list[str]) -> list[Row]:
    from gpu import figures as measuring

    rows = measuring.measure(device())
    return [{**row, "verdict": judged(row)} for row in rows]


def judged(row: Row) -> str:
    """Small copies take as long as it takes to ask for them, which the link has no part in."""
    if row.get("wrong"):
        return "WRONG"
    return "slow" if row.get("share", 1.0) < ENOUGH["figures"] and not row.get("small") else "ok"


def resident(kernels: list[str]) -> list[Row]:
    from gpu import figures as measuring

    opened = device()
    import pycuda.driver as cuda

    with opened.lock, opened.current():
        ceiling = measuring._device_copy(opened, cuda)
    rows: list[Row] = []
    for kernel in kernels:
        size = RESIDENT_SIZES.get(kernel) or size_of(kernel, "large" if kernel in MEMORY_BOUND else "medium")
        for one in worker("resident", kernel, size):
            value = one["bytes"] / one["seconds"] / 1e9
            row = {"what": f"{kernel} {one['site']}", "value": value, "unit": "GB/s", "seconds": one["seconds"]}
            if kernel in MEMORY_BOUND:
                row |= {"ceiling": ceiling, "share": value / ceiling}
            slow = kernel in MEMORY_BOUND and kernel != "jacobi_2d" and value < ENOUGH["resident"] * ceiling
            rows.append({**row, "verdict": "slow" if slow else "ok"})
    return rows


def residency(kernels: list[str]) -> list[Row]:
    from gpu import figures as measuring

    done = python(
        "-m", "alpyna", "--variant", "cuda", "tools/gpu/residency.py", "cuda", str(RESIDENT_ELEMENTS)
    )  # fmt: skip
    try:
        calls = json.loads(done.stdout)
    except ValueError:
        return [{"what": "calls", "verdict": "WRONG", "note": done.stderr.strip()[-300:]}]
    rows: list[Row] = []
    for call in calls:
        wrong = not call["right"] or call["sent"] != call["expected"] or bool(done.stderr)
        rows.append({**call, "verdict": "WRONG" if wrong else "ok"})
    for row in measuring.shadows(device()):
        rows.append({**row, "verdict": judged(row)})
    return rows


def cupy(kernels: list[str]) -> list[Row]:
    if find_spec("cupy") is None:
        return [{"what": "CuPy", "verdict": "missing", "note": "it is not installed"}]
    plain, (ours, sites) = python("tools/gpu/cupy_loops.py"), reported("tools/gpu/cupy_loops.py")
    try:
        expected = {row["what"]: row for row in json.loads(plain.stdout)}
        found = json.loads(ours.stdout)
    except ValueError:
        return [{"what": "CuPy", "verdict": "WRONG", "note": (plain.stderr + ours.stderr).strip()[-300:]}]
    rows: list[Row] = []
    for row in found:
        right = row["digest"] == expected[row["what"]]["digest"] and not ours.stderr
        quiet = row.get("expected") is None or max(row["sent"], row["fetched"]) <= row["expected"]
        plain_s = expected[row["what"]]["seconds"]
        rows.append({**row, "cupy seconds": plain_s, "verdict": "ok" if right and quiet else "WRONG"})
    loops = [site for site in sites if site["function"] in CUPY_LOOPS]
    left_out = [f"{site['id']}: {site['reason']}" for site in loops if "cuda" not in site["variants"]]
    verdict = "WRONG" if left_out else "ok"
    return [*rows, {"what": "left to CuPy", "verdict": verdict, "count": len(left_out), "note": "; ".join(left_out)}]


def hand(kernels: list[str]) -> list[Row]:
    rows: list[Row] = []
    for kernel in (k for k in BY_HAND if k in kernels):
        contenders = {
            "cuda": ["-m", "alpyna", "--variant", "cuda", "--modules", "kernels.*", "tools/_worker.py", "python"],
            "numba.cuda": ["tools/_worker.py", "numba_cuda"],
        }
        times: dict[str, float] = {}
        digests: dict[str, str] = {}
        notes: dict[str, str] = {}
        for name, command in contenders.items():
            one = Contender([sys.executable, *command], ROOT, len(os.sched_getaffinity(0)))
            try:
                size = [int(n) for n in size_of(kernel, "large")]
                asked = size[0] if len(size) == 1 else size
                digests[name] = one.ask(op="load", kernel=kernel, size=asked)["digest"]
                times[name] = statistics.median(one.ask(op="round", budget_s=2.0)["times_s"])
                if one.said():
                    raise Failed(one.said())
            except Failed as error:
                notes[name] = str(error)
            finally:
                one.close()
        verdict = "WRONG" if "cuda" in notes else "missing" if notes else "ok"
        note = "; ".join(f"{name}: {why}" for name, why in notes.items())
        row: Row = {"what": kernel, "verdict": verdict, "note": note, **times}
        if len(set(digests.values())) > 1:
            row["note"] += "other bits than by hand, whose compiler may fuse a * b + c"
        if len(times) == 2:
            row["share"] = times["numba.cuda"] / times["cuda"]
        rows.append(row)
    return rows


def oracle(kernels: list[str]) -> list[Row]:
    """The evaluation ends with the time; what it has written by then counts."""
    start = time.monotonic()
    done = python("-m", "alpyna", "calibrate")
    seconds, said = time.monotonic() - start, done.stdout + done.stderr
    wrong = done.returncode != 0 or "cannot be measured" in said
    verdict = "WRONG" if wrong else "slow" if seconds > CALIBRATION_S else "ok"
    note = " ".join(line.strip() for line in said.splitlines() if "cuda" in line)
    rows: list[Row] = [{"what": "calibrate", "verdict": verdict, "seconds": seconds, "note": note}]
    chosen = [kernel for kernel in ORACLES if kernel in kernels]
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "oracle.json")
        asked = ("--platforms", "host + cuda", "--sizes", "5", "--repeats", "0", "--kernels", ",".join(chosen))
        minutes = max(left() - 30, 10) / 60 / 3  # what it starts and compiles is not counted there
        try:
            done = python("tools/oracle_eval.py", *asked, "--minutes", f"{minutes:.2f}", "--json", str(out))
            note = " ".join(done.stderr.strip().splitlines()[-1:])
        except subprocess.TimeoutExpired:
            note = "the time was up"
        if not out.exists():
            return [*rows, {"what": "tools/oracle_eval.py", "verdict": "missing", "note": note}]
        data = json.loads(out.read_text())
    measured = [kernel for kernel in chosen if any(point["kernel"] == kernel for point in data["points"])]
    errors = [error for point in data["points"] for error in point["errors"]]
    there = any(variants[-1] == "cuda" for _, _, variants in data["platforms"])
    verdict = "WRONG" if errors or not there else "ok"
    note = "; ".join(filter(None, [f"{len(measured)} of {len(chosen)} kernels", note, *errors[:3]]))
    rows.append({"what": "tools/oracle_eval.py", "verdict": verdict, "note": note, "data": data})
    for one in data["scores"]:
        if one["strategy"].startswith("oracle"):
            shown = {key: one[key] for key in ("points", "mean", "geometric", "worst", "worst_at")}
            rows.append({"what": one["strategy"], "verdict": "ok", **shown})
    return rows


def sanitized(tool: str, kernel: str) -> list[Row]:
    """A kernel under compute-sanitizer, which says itself that it has looked at something."""
    command = [tool, "--error-exitcode", "9", sys.executable, "-m", "alpyna", "--variant", "cuda"]
    done = ran([*command, f"kernels/{kernel}.py", *size_of(kernel, "test")], limit=SANITIZER_S)
    lines = [line for line in done.stdout.splitlines() if line.startswith("=====")]
    seen = any("ERROR SUMMARY: 0 errors" in line for line in lines)
    absent = any("not supported" in line for line in lines)
    verdict = "missing" if absent else "ok" if seen and done.returncode == 0 and not done.stderr else "WRONG"
    note = " ".join([*lines[-1:], *done.stderr.strip().splitlines()[-1:]])
    return [{"what": f"compute-sanitizer {kernel}", "verdict": verdict, "note": note}]


def memory(kernels: list[str]) -> list[Row]:
    rows: list[Row] = []
    tool = shutil.which("compute-sanitizer")
    if tool:
        rows += side_by_side(functools.partial(sanitized, tool), [kernel for kernel in BY_HAND if kernel in kernels])
    else:
        rows.append({"what": "compute-sanitizer", "verdict": "missing", "note": "it is not installed"})
    done = python("-m", "alpyna", "--variant", "cuda", "tools/gpu/leak.py", str(LEAK_CALLS))
    try:
        found = json.loads(done.stdout)
    except ValueError:
        return [*rows, {"what": "leak loop", "verdict": "WRONG", "note": done.stderr.strip()[-300:]}]
    leaks = found["device_bytes"] > 0 or found["host_bytes"] > 32 << 20 or done.stderr != ""
    return [*rows, {"what": f"leak loop, {LEAK_CALLS} calls", "verdict": "WRONG" if leaks else "ok", **found}]


PARTS: dict[str, Callable[[list[str]], list[Row]]] = {
    "results": results, "tests": tests, "figures": figures, "resident": resident, "residency": residency,
    "cupy": cupy, "hand": hand, "memory": memory, "oracle": oracle,
}  # fmt: skip


def device() -> Any:
    """The opened CUDA device. SystemExit with status 2 if there is none."""
    from alpyna_hook.devices import opened
    from alpyna_hook.devices.base import NoCache

    found = opened.get("cuda", NoCache())
    if isinstance(found, str):
        print(f"no CUDA device: {found}", file=sys.stderr)
        raise SystemExit(2)
    return found.device


def table(rows: list[Row]) -> str:
    """The rows as text: what, verdict, figures, note."""
    lines = []
    for row in rows:
        figures = [
            f"{key} {value:.4g}" if isinstance(value, float) else f"{key} {value}"
            for key, value in row.items()
            if key not in ("part", "what", "verdict", "note", "data") and value != ""
        ]
        note = f"  {row['note']}" if row.get("note") else ""
        lines.append(f"{row['part']:<9} {row['what']:<40} {row['verdict']:<12} {', '.join(figures)}{note}".rstrip())
    return "\n".join(lines)


def timed(part: str, kernels: list[str]) -> list[Row]:
    """The rows of a part, whatever happens in it, and how long it took."""
    if left() < 0:
        return [{"part": part, "what": part, "verdict": "missing", "note": "no time was left"}]
    start = time.monotonic()
    try:
        rows = PARTS[part](kernels)
    except Exception as error:  # the other parts' figures are still of use
        rows = [{"what": part, "verdict": "WRONG", "note": f"{type(error).__name__}: {error}"}]
    rows.append({"what": "all of this part", "verdict": "ok", "seconds": time.monotonic() - start})
    return [{"part": part, **row} for row in rows]


def write(options: argparse.Namespace, rows: list[Row]) -> None:
    if options.json:
        options.json.write_text(json.dumps({"schema": 1, "dry_run": options.dry_run, "rows": rows}, indent=1) + "\n")


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--dry-run", action="store_true", help="only compile, without a GPU")
    parser.add_argument("--parts", default=",".join(PARTS), help="parts to run, separated by commas")
    parser.add_argument("--kernels", default=",".join(KERNELS))
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    kernels, parts = options.kernels.split(","), options.parts.split(",")
    unknown = [*(k for k in kernels if k not in KERNELS), *(p for p in parts if p not in PARTS)]
    if unknown:
        parser.error(f"unknown: {', '.join(unknown)}")
    start = time.perf_counter()
    contender.TIMEOUT_S = 60.0
    if options.dry_run:
        from alpyna_hook.devices import cudacc

        if not cudacc.nvcc():
            print("no nvcc: not on PATH, nor in CUDA_HOME", file=sys.stderr)
            return 2
        rows = [{"part": "dry-run", **row} for row in side_by_side(machine_code, kernels)]
        if "cupy" in parts:
            rows += [{"part": "dry-run", **row} for row in side_by_side(cupys_machine_code, [PRETENDED])]
        print(table(rows))
        write(options, rows)
    else:
        device()
        rows = []
        for part in parts:
            found = timed(part, kernels)
            rows += found
            print(table(found), flush=True)
            write(options, rows)
    wrong, slow = (sum(row["verdict"] == verdict for row in rows) for verdict in ("WRONG", "slow"))
    print(f"{len(rows)} rows, {wrong} wrong, {slow} slow, {time.perf_counter() - start:.0f} s")
    return 1 if wrong or slow else 0


if __name__ == "__main__":
    sys.exit(main())
