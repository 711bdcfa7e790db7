"""The report as JSON, schema 1 (docs/report.md).

In: `SiteRecord`s and a `Header`.  Out: text that any JSON parser accepts: no NaN, no Infinity (null instead).
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from alpyna_hook.report import facts
from alpyna_hook.runtime.records import SiteRecord, to_json


def render(records: Sequence[SiteRecord], header: facts.Header) -> str:
    """The whole report, ending in a newline."""
    document = {
        "schema": facts.SCHEMA,
        "alpyna": header.alpyna,
        "python": header.python,
        "numpy": header.numpy,
        "devices": list(header.devices),
        "fp": header.fp,
        "threads": header.threads,
        "sites": [to_json(record) for record in records],
    }
    return json.dumps(_clean(document), indent=2, allow_nan=False) + "\n"


def _clean(value: Any) -> Any:
    """`value` in JSON's own types: tuples as lists, NumPy numbers as Python's, what is not finite as null."""
    match value:
        case None | bool() | str():
            return value
        case Mapping():
            return {str(key): _clean(item) for key, item in value.items()}
        case list() | tuple() | set() | frozenset():
            return [_clean(item) for item in value]
        case int():
            return int(value)
        case float():
            return float(value) if math.isfinite(value) else None
        case _:
            item = getattr(value, "item", None)
            return _clean(item()) if item is not None else str(value)
