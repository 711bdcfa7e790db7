"""CUDA C++ -> machine code: NVRTC through cuda-bindings where that is installed (0.1 s), else nvcc (0.7 s and more).

In:  text, the compute capability of a device ("90").
Out: a cubin, or PTX where the compiler is older than the device; DeviceError if there is no compiler or it refuses.

Nothing here needs a GPU or a driver.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from functools import cache
from pathlib import Path
from typing import Any, Final

from alpyna_hook.devices import toolchain
from alpyna_hook.devices.base import DeviceError

# The defaults contract a * b + c into an FMA; the others are defaults already, and are to stay so.
FLAGS: Final = ("--fmad=false", "--prec-div=true", "--prec-sqrt=true", "--ftz=false", "--std=c++17")
TIMEOUT: Final = 120.0  # seconds for one run of nvcc
_FOLDERS: Final = ("CUDA_HOME", "CUDA_PATH", "CUDA_ROOT")  # environment: where a toolkit lies
_LOG_LINES: Final = 20


def compile_text(text: str, capability: str, timeout: float = TIMEOUT) -> bytes:
    """Machine code of the kernels in `text`, which are `extern "C"`."""
    nvrtc = _nvrtc()
    if nvrtc is not None:
        return _by_nvrtc(nvrtc, text, capability)
    command = nvcc()
    if not command:
        raise DeviceError("there is no compiler for CUDA: pip install 'cuda-bindings[all]', or put nvcc on PATH")
    return _by_nvcc(command, text, capability, timeout)


def describe() -> str:
    """The compiler that would be used; empty if there is none."""
    nvrtc = _nvrtc()
    if nvrtc is not None:
        _, major, minor = nvrtc.nvrtcVersion()
        return f"NVRTC {major}.{minor}"
    return nvcc()


def nvcc() -> str:
    """Path of nvcc: from PATH, else from the toolkit that the environment names, else from the usual place; or ""."""
    found = shutil.which("nvcc")
    if found:
        return found
    folders = [os.environ[name] for name in _FOLDERS if os.environ.get(name)]
    for folder in (*folders, "/usr/local/cuda"):
        path = os.path.join(folder, "bin", "nvcc")
        if os.access(path, os.X_OK):
            return path
    return ""


@cache
def _nvrtc() -> Any:
    """The bindings, if they and the library behind them are there."""
    try:
        from cuda.bindings import nvrtc

        return nvrtc if int(nvrtc.nvrtcVersion()[0]) == 0 else None
    except Exception:  # not installed, or without the library
        return None


def _by_nvrtc(nvrtc: Any, text: str, capability: str) -> bytes:
    archs = sorted(int(a) for a in _checked(nvrtc, nvrtc.nvrtcGetSupportedArchs())[0])
    exact, arch = _target(capability, archs)
    (program,) = _checked(nvrtc, nvrtc.nvrtcCreateProgram(text.encode(), b"kernel.cu", 0, [], []))
    try:
        options = [flag.encode() for flag in (f"--gpu-architecture={arch}", *FLAGS)]
        status = nvrtc.nvrtcCompileProgram(program, len(options), options)[0]
        if int(status) != 0:
            log = _text(nvrtc, nvrtc.nvrtcGetProgramLogSize, nvrtc.nvrtcGetProgramLog, program)
            raise DeviceError(f"NVRTC refused the kernel ({_name(status)})", log=log.decode(errors="replace"))
        if exact:
            return _text(nvrtc, nvrtc.nvrtcGetCUBINSize, nvrtc.nvrtcGetCUBIN, program)
        return _text(nvrtc, nvrtc.nvrtcGetPTXSize, nvrtc.nvrtcGetPTX, program)
    finally:
        nvrtc.nvrtcDestroyProgram(program)


def _text(nvrtc: Any, size_of: Any, get: Any, program: Any) -> bytes:
    (size,) = _checked(nvrtc, size_of(program))
    text = bytes(bytearray(b" ") * int(size))  # the bindings write into it
    _checked(nvrtc, get(program, text))
    return text


def _checked(nvrtc: Any, result: tuple[Any, ...]) -> tuple[Any, ...]:
    """What a call gave besides its status, which must be success."""
    if int(result[0]) != 0:
        raise DeviceError(f"NVRTC failed ({_name(result[0])})")
    return result[1:]


def _name(status: Any) -> str:
    return str(getattr(status, "name", status))


def _by_nvcc(command: str, text: str, capability: str, timeout: float) -> bytes:
    result = _run_nvcc(command, text, ("-cubin", f"-arch=sm_{capability}"), timeout)
    if isinstance(result, str) and "nsupported gpu architecture" in result:
        listed = toolchain.run((command, "--list-gpu-arch"), "", timeout).output.split()
        archs = sorted(int(a.removeprefix("compute_")) for a in listed if a.removeprefix("compute_").isdecimal())
        result = _run_nvcc(command, text, ("-ptx", f"-arch={_target(capability, archs)[1]}"), timeout)
    if isinstance(result, str):
        last = result.strip().splitlines()
        raise DeviceError("nvcc refused the kernel", log="\n".join(last[-_LOG_LINES:]))
    return result


def _run_nvcc(command: str, text: str, options: tuple[str, ...], timeout: float) -> bytes | str:
    """What nvcc made, or what it said."""
    try:
        with tempfile.TemporaryDirectory(prefix="alpyna-") as folder:
            source, output = Path(folder, "kernel.cu"), Path(folder, "kernel.bin")
            source.write_text(text, encoding="utf-8")
            done = toolchain.run((command, *options, *FLAGS, "-o", str(output), str(source)), "", timeout)
            if done.returncode == 0 and output.exists():
                return output.read_bytes()
            return done.output or f"nvcc ended with status {done.returncode}"
    except OSError as error:
        raise DeviceError(f"there is no place for nvcc's output: {error}") from error


def _target(capability: str, archs: list[int]) -> tuple[bool, str]:
    """(machine code can be made, name of the architecture): the device's own, else the newest older one as PTX."""
    own = int(capability)
    if own in archs:
        return True, f"sm_{own}"
    older = [arch for arch in archs if arch < own]
    if not older:
        raise DeviceError(f"the CUDA compiler does not know compute capability {own / 10}")
    return False, f"compute_{max(older)}"
