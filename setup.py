"""Builds the guard extension. It is optional: without a compiler the pure-Python guard does its work.

Everything else about the package is in setup.cfg.
"""

import numpy
from setuptools import Extension, setup

setup(
    ext_modules=[
        Extension(
            "alpyna_hook.runtime._guard",
            ["alpyna_hook/runtime/_guard.c"],
            depends=[
                f"alpyna_hook/runtime/_guard_{part}.h" for part in ("core", "entry", "errstate", "match", "memory")
            ],
            include_dirs=[numpy.get_include()],
            optional=True,
        )
    ]
)
