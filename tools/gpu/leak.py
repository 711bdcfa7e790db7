"""Calls a loop on the device again and again with sizes that change, and prints how much memory is gone afterwards.

    python -m alpyna --variant cuda tools/gpu/leak.py CALLS
"""

import json
import resource
import sys

import numpy as np


def scale(a, x, y):
    for i in range(len(x)):
        y[i] = a * x[i] + y[i]


def device_bytes():
    """Bytes of device memory that are neither free nor Alpyna's to give back."""
    from alpyna_hook.devices import opened

    found = opened.get("cuda", None)
    if isinstance(found, str):
        return 0
    import pycuda.driver

    with found.device.lock, found.device.current():
        found.drain()
        free, total = pycuda.driver.mem_get_info()
    return total - free


def host_bytes():
    """The most memory that the process has had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def calls(count):
    for k in range(count):
        x, y = np.ones(200_000 + 1000 * (k % 37)), np.zeros(200_000 + 1000 * (k % 37))
        scale(2.0, x, y)
        assert y[0] == 2.0 and y[-1] == 2.0


count = int(sys.argv[1])
calls(40)
before = device_bytes(), host_bytes()
calls(count)
after = device_bytes(), host_bytes()
print(json.dumps({"device_bytes": after[0] - before[0], "host_bytes": after[1] - before[1]}))
