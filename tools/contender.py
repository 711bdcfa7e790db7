"""A worker process of bench.py, spoken to in JSON lines."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

__alpyna__ = False

TIMEOUT_S = 900.0


class Failed(Exception):
    """A contender could not answer; the text says why."""


class Contender:
    """A running worker. `ask` sends one command and waits for its answer."""

    def __init__(self, command: Sequence[str], cwd: Path, threads: int) -> None:
        env = {**os.environ, "OMP_NUM_THREADS": str(threads), "NUMBA_NUM_THREADS": str(threads)}
        self._errors = tempfile.TemporaryFile("w+")
        self._process = subprocess.Popen(
            command, cwd=cwd, env=env, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors
        )
        self._lines: queue.Queue[str] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.put(line)
        self._lines.put("")

    def ask(self, **command: Any) -> dict[str, Any]:
        """The answer to `command`. Raises Failed if the worker died, hung or reported an error."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(command) + "\n")
            self._process.stdin.flush()
            line = self._lines.get(timeout=TIMEOUT_S)
        except BrokenPipeError:
            line = ""
        except queue.Empty:
            self.close()
            raise Failed(f"no answer within {TIMEOUT_S:.0f} s") from None
        if not line:
            self._process.wait()
            self._errors.seek(0)
            tail = self._errors.read().strip().splitlines()[-1:]
            raise Failed(f"exit status {self._process.returncode}: {' '.join(tail)}")
        try:
            reply: dict[str, Any] = json.loads(line)
        except ValueError:
            raise Failed(f"not an answer: {line.strip()[:80]!r}") from None
        if "error" in reply:
            raise Failed(reply["error"])
        return reply

    def said(self) -> str:
        """The first line that Alpyna itself has written on stderr so far; empty if none."""
        self._errors.seek(0)
        return next((line.strip() for line in self._errors if line.startswith("alpyna:")), "")

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.communicate()
        self._errors.close()
