"""Builds the extensions. They are optional: without a compiler their pure-Python twins do the work.

Everything else about the package is in setup.cfg.
"""

import os

import numpy
from setuptools import Extension, setup

setup(
    ext_modules=[
        Extension(
            "alpyna_hook.runtime._guard",
            ["alpyna_hook/runtime/_guard.c"],
            depends=[
                f"alpyna_hook/runtime/_guard_{part}.h"
                for part in ("core", "entry", "errstate", "match", "memory", "poll")
            ],
            include_dirs=[numpy.get_include()],
            optional=True,
        ),
        Extension(
            "alpyna_hook.cost._tape",
            ["alpyna_hook/cost/_tape.c"],
            depends=[f"alpyna_hook/cost/_{part}.h" for part in ("pick", "picker", "tape")],
            optional=True,
        ),
    ]
    + [Extension("alpyna_hook.devices._copying", ["alpyna_hook/devices/_copying.c"], optional=True)]
    * (os.name == "posix")  # it uses POSIX threads
)
