"""A set of programs, run by CPython and by Alpyna in few processes, and the differences between them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

WORKER = Path(__file__).resolve().parent / "worker.py"
ROOT = WORKER.parents[2]
Seen = dict[str, Any]


@dataclass(frozen=True)
class Difference:
    """One program that behaves differently under `variant`; `parts` says in what."""

    name: str
    variant: str
    parts: tuple[str, ...]
    expected: Seen
    got: Seen


def observe(programs: Mapping[str, str], variant: str, report: Path | None = None) -> dict[str, Seen]:
    """What each program (module name -> text) did under `variant`: "cpython", a variant of Alpyna's, or "opencl.grid",
    which has an OpenCL device that is a CPU used like one that is none.

    A program that kills its process is {"crash": text}; one that hangs it is {"timeout": True}.
    """
    seen: dict[str, Seen] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, text in programs.items():
            (Path(folder) / f"{name}.py").write_text(text)
        waiting = list(programs)
        while waiting:
            found, fate = _run(Path(folder), waiting, variant, report)
            seen.update(found)
            if fate is None:
                break
            culprit = next((n for n in waiting if n not in found), waiting[-1])
            seen[culprit] = {"name": culprit, **fate}
            waiting = waiting[waiting.index(culprit) + 1 :]
    return seen


def _run(
    folder: Path, names: Sequence[str], variant: str, report: Path | None
) -> tuple[dict[str, Seen], Seen | None]:
    """One process over `names`: what was seen, and how it died if it did."""
    wanted, out = folder / "names.txt", folder / "seen.jsonl"
    wanted.write_text("\n".join(names))
    out.write_text("")
    command = [sys.executable]
    name, _, style = variant.partition(".")
    if variant != "cpython":
        command += ["-m", "alpyna", "--variant", name, "--modules", "fz_*"]
        command += ["--report", str(report)] if report else []
    env = {**os.environ, "FUZZ_LIMIT_S": "2" if variant == "cpython" else "30", "PYTHONHASHSEED": "0"}
    env.setdefault("OMP_NUM_THREADS", "2")
    if style:
        env["FUZZ_STYLE"] = style
    command += [str(WORKER), str(folder), str(out), str(wanted)]
    fate: Seen | None = None
    try:
        limit_s = 60 + 2 * len(names)
        done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, timeout=limit_s, text=True)
        if done.returncode:
            fate = {"crash": f"exit status {done.returncode}: {done.stderr[-2000:]}"}
    except subprocess.TimeoutExpired:
        fate = {"timeout": True}
    lines = [json.loads(line) for line in out.read_text().splitlines()]
    return {line["name"]: line for line in lines if "name" in line}, fate


def ended(programs: Mapping[str, str], expected: Mapping[str, Seen]) -> dict[str, str]:
    """The programs that CPython brought to an end. (The others may be endless, and no time limit ends a kernel.)"""
    return {name: text for name, text in programs.items() if not {"timeout", "crash"} & expected[name].keys()}


def compare(expected: Mapping[str, Seen], got: Mapping[str, Seen], variant: str) -> list[Difference]:
    """The programs of which something differs. Programs that are too slow for CPython itself are left out."""
    differences = []
    for name, truth in expected.items():
        if "timeout" in truth or "crash" in truth:
            continue
        other = got.get(name, {"crash": "not run"})
        keys = sorted((truth.keys() | other.keys()) - {"name"})
        parts = tuple(k for k in keys if truth.get(k) != other.get(k))
        if parts:
            differences.append(Difference(name, variant, parts, truth, other))
    return differences


def explain(d: Difference) -> str:
    """The difference in a few lines."""
    lines = [f"{d.name} under {d.variant} differs in {', '.join(d.parts)}"]
    for part in d.parts:
        want, have = d.expected.get(part), d.got.get(part)
        if part == "names" and isinstance(want, dict) and isinstance(have, dict):
            for key in sorted(want.keys() | have.keys()):
                if want.get(key) != have.get(key):
                    lines += [f"  {key}: expected {want.get(key)}", f"  {' ' * len(key)}  got      {have.get(key)}"]
        else:
            lines += [f"  {part}: expected {want}", f"  {' ' * len(part)}  got      {have}"]
    return "\n".join(lines)
