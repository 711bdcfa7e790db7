"""Where a C compiler is, and what tells it and this CPU apart from others; nothing is run, nothing heavy imported.

In: the compiler the user named (or None), PATH.  Out: commands; `stamp`, which changes when another compiler would be
found, or the one that would has changed.
"""

from __future__ import annotations

import os
from functools import cache

COMPILERS = ("gcc", "clang", "cc")  # looked for in this order; then the package `ziglang`
GLIBC_POW = (2, 28)  # the first glibc with the `pow` that codegen/powers.py knows


def stamp(named: str | None) -> str:
    """Path, time and size of each compiler that `toolchain.find` would try; CPU and C library."""
    names = (named,) if named else COMPILERS
    commands = [command for command in map(command_of, names) if command is not None]
    if not commands and not named and (found := zig()) is not None:
        commands = [(found, "cc")]
    return repr(([(command, _file(command[0])) for command in commands], cpu_features(), libm_flags()))


def _file(path: str) -> tuple[object, ...]:
    try:
        status = os.stat(path)
    except OSError:
        return ()
    return os.path.realpath(path), status.st_mtime_ns, status.st_size


def which(name: str) -> str | None:
    """Path of an executable on PATH (shutil.which without its imports)."""
    if os.path.dirname(name):
        return name if os.access(name, os.X_OK) and os.path.isfile(name) else None
    for folder in os.environ.get("PATH", os.defpath).split(os.pathsep):
        path = os.path.join(folder or ".", name)
        if os.path.isfile(path) and os.access(path, os.X_OK):
            return os.path.abspath(path)
    return None


def command_of(text: str) -> tuple[str, ...] | None:
    """The command that `text` names, None if there is none. It may hold arguments ("ccache gcc") unless it is a path
    with blanks in it."""
    words = [text]
    if which(text) is None and " " in text:
        import shlex

        try:
            words = shlex.split(text)
        except ValueError:
            return None
    path = which(words[0]) if words else None
    return None if path is None else (path, *words[1:])


def zig() -> str | None:
    """Path of the compiler inside the `ziglang` package."""
    folder = package_folder("ziglang")
    return which(os.path.join(folder, "zig")) if folder else None


@cache
def cpu_features() -> str:
    """What `-march=native` depends on: model and feature flags of the first CPU."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
            wanted = []
            for line in file:
                if not line.strip():
                    break
                if line.startswith(("model name", "flags", "Features", "CPU implementer", "CPU part")):
                    wanted.append(line.strip())
            return "\n".join(wanted)
    except OSError:
        import platform

        return f"{platform.machine()} {platform.processor()}"


@cache
def libm_flags() -> tuple[str, ...]:
    """Tells kernels if the C library that this process runs on is none whose `pow` is known (codegen/powers.py)."""
    try:
        name, _, version = (os.confstr("CS_GNU_LIBC_VERSION") or "").partition(" ")
        known = name == "glibc" and tuple(map(int, version.split(".")[:2])) >= GLIBC_POW
    except (AttributeError, OSError, ValueError):
        known = False
    return () if known and not os.environ.get("LD_PRELOAD") else ("-DALP_FOREIGN_LIBM",)


def package_folder(name: str) -> str:
    from importlib.machinery import PathFinder

    spec = PathFinder.find_spec(name)
    return spec.submodule_search_locations[0] if spec and spec.submodule_search_locations else ""
