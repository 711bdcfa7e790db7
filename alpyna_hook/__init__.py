"""Alpyna: unmodified Python loop nests, run as proved-parallel compiled code.

This package imports nothing heavy: `import alpyna_hook` costs microseconds, so that a program whose
loops never pay is not slowed down by being watched.
"""

__version__ = "0.1.0"
