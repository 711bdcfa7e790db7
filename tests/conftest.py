"""Running programs with and without Alpyna, and comparing what they did, byte for byte."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as in a shell's background job: the programs inherit it
    signal.signal(signal.SIGINT, signal.default_int_handler)

SITECUSTOMIZE = """\
import os
if os.environ.get("ALPYNA", "0") not in ("", "0"):
    import alpyna_hook.startup
    alpyna_hook.startup.activate()
"""


@dataclass(frozen=True)
class Outcome:
    """What a process did."""

    status: int
    stdout: str
    stderr: str


class Project:
    """A folder with a user's files in it, where programs are run by plain `python` and under Alpyna."""

    def __init__(self, folder: Path, cache: Path) -> None:
        self.folder = folder / "project"
        self.folder.mkdir()
        self.site = folder / "site"
        self.site.mkdir()
        (self.site / "sitecustomize.py").write_text(SITECUSTOMIZE)
        self.environment = {k: v for k, v in os.environ.items() if not k.startswith(("ALPYNA", "PYTHON"))}
        # The same path for all ways of running, so that `sys.path` can be compared, too.
        self.environment |= {"PYTHONPATH": f"{ROOT}{os.pathsep}{self.site}", "ALPYNA_CACHE_DIR": str(cache)}

    def write(self, files: Mapping[str, str | bytes]) -> None:
        for name, content in files.items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else content.encode())

    def run(self, *command: str, stdin: str | None = None, **environment: str) -> Outcome:
        """`python COMMAND...` in the project's folder."""
        done = subprocess.run(
            [sys.executable, *command], cwd=self.folder, env=self.environment | environment, timeout=120,
            input=stdin.encode(errors="surrogateescape") if stdin is not None else b"", capture_output=True,
        )  # fmt: skip
        return Outcome(done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace"))

    def plain(
        self, *command: str, flags: tuple[str, ...] = (), stdin: str | None = None, **environment: str
    ) -> Outcome:
        return self.run(*flags, *command, stdin=stdin, **environment)

    def runner(
        self, *command: str, flags: tuple[str, ...] = (), stdin: str | None = None, **environment: str
    ) -> Outcome:
        """By `python -m alpyna COMMAND...`."""
        return self.run(*flags, "-m", "alpyna", *command, stdin=stdin, **environment)

    def activated(
        self, *command: str, flags: tuple[str, ...] = (), stdin: str | None = None, **environment: str
    ) -> Outcome:
        """By `ALPYNA=1 python COMMAND...`."""
        return self.run(*flags, *command, stdin=stdin, ALPYNA="1", **environment)


@pytest.fixture(scope="session")
def cache_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One kernel cache for the session."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def project(tmp_path: Path, cache_dir: Path) -> Project:
    return Project(tmp_path, cache_dir)
