"""What a project says of Alpyna: `[tool.alpyna]` of the nearest pyproject.toml.

    [tool.alpyna]
    modules = ["simulation.*"]                  modules to mark besides the defaults
    pin = {"simulation.heat:42" = "seq"}        the variant of a site, whatever the oracle thinks

In: a folder.  Out: that table, checked; what cannot be understood is one line on stderr, and ignored.
"""

from __future__ import annotations

import os
import sys

from alpyna_hook.settings import VARIANTS, complain, current_folder

_tables: dict[str, tuple[str, dict[str, object]]] = {}
_pins: dict[str, dict[str, str]] = {}


def modules(folder: str) -> tuple[str, ...]:
    """The patterns of `modules`; () if there are none."""
    path, table = _table(folder)
    found = table.get("modules", [])
    if isinstance(found, list) and all(isinstance(pattern, str) for pattern in found):
        return tuple(found)
    complain(f"{path}: [tool.alpyna] modules is ignored: it must be a list of strings")
    return ()


def pin_of(site: str, file: str) -> str:
    """The variant that the project of `file` wants for the site "module:line"; "" if it wants none."""
    known = os.path.isabs(file) or current_folder()
    folder = os.path.dirname(os.path.abspath(file)) if known else ""
    if folder not in _pins:
        _pins[folder] = _checked_pins(folder)
    return _pins[folder].get(site, "")


def _checked_pins(folder: str) -> dict[str, str]:
    path, table = _table(folder)
    found = table.get("pin", {})
    if not isinstance(found, dict):
        complain(f"{path}: [tool.alpyna] pin is ignored: it must be a table of sites and variants")
        return {}
    good = {site: variant for site, variant in found.items() if variant in VARIANTS}
    for site in sorted(found.keys() - good.keys()):
        complain(f"{path}: the pin of {site} is ignored: it must be one of {', '.join(VARIANTS)}")
    return {site: variant for site, variant in good.items() if variant != "auto"}


def _table(folder: str) -> tuple[str, dict[str, object]]:
    """Path of the nearest pyproject.toml at or above `folder`, and its table; empty if there is none. Read once."""
    if folder not in _tables:
        _tables[folder] = _read(folder)
    return _tables[folder]


def _read(folder: str) -> tuple[str, dict[str, object]]:
    while True:
        path = os.path.join(folder, "pyproject.toml")
        try:
            with open(path, "rb") as file:
                data = file.read()
            break
        except OSError:
            parent = os.path.dirname(folder)
            if parent == folder:
                return "", {}
            folder = parent
    if b"alpyna" not in data:
        return path, {}
    try:
        table = _tool_table(data)
    except ValueError as error:
        complain(f"{path} is ignored: {error}")
        return path, {}
    for key in sorted(table.keys() - {"modules", "pin"}):
        complain(f"{path}: [tool.alpyna] {key} is ignored: there is modules, and pin")
    return path, table


def _tool_table(data: bytes) -> dict[str, object]:
    text = data.decode("utf-8")
    if sys.version_info >= (3, 11):
        import tomllib

        try:
            tools = tomllib.loads(text).get("tool", {})
        except RecursionError:
            raise ValueError("it is nested too deeply") from None
        table = tools.get("alpyna", {}) if isinstance(tools, dict) else tools
    else:
        table = _table_by_hand(text)
    if not isinstance(table, dict):
        raise ValueError("[tool.alpyna] is not a table")
    return table


def _table_by_hand(text: str) -> dict[str, object]:
    """`[tool.alpyna]` on Python 3.10, which has no TOML parser: lists of strings, and pins, are understood."""
    import ast
    import re

    def section(name: str) -> str:
        found = re.search(rf"^\[{name}\][ \t]*(?:#[^\n]*)?$(.*?)(?=^\[|\Z)", text, re.MULTILINE | re.DOTALL)
        return found[1] if found else ""

    own = section(r"tool\.alpyna")
    table: dict[str, object] = {}
    found = re.search(r"^modules[ \t]*=[ \t]*(\[[^\]]*\])", own, re.MULTILINE)
    if found:
        try:
            table["modules"] = ast.literal_eval(found[1])  # TOML's strings and lists are spelt as Python's
        except SyntaxError as error:
            raise ValueError(f"[tool.alpyna] modules cannot be read: {error.msg}") from None
    inline = re.search(r"^pin[ \t]*=[ \t]*\{([^}]*)\}", own, re.MULTILINE)
    pins = (inline[1] if inline else "") + section(r"tool\.alpyna\.pin")
    table["pin"] = dict(re.findall(r"""["']([^"'\n]+)["'][ \t]*=[ \t]*["']([^"'\n]*)["']""", pins))
    return table
