"""Builds the optional C library of the neuron kernels; everything else is in pyproject.toml.

Without a compiler the installation still succeeds, and the neurons run on torch operations.
``SNNKIT_NATIVE=0`` leaves the library out, ``SNNKIT_NATIVE=baseline`` builds without AVX.
"""

import os

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

FLAGS = ["-O3", "-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math"]


class BuildKernels(build_ext):
    """With OpenMP where the compiler has it, else for one thread."""

    def build_extension(self, ext):
        if os.environ.get("SNNKIT_NATIVE") == "baseline":
            ext.define_macros = [("SNN_BASELINE", "1")]
        ext.extra_compile_args, ext.extra_link_args = [*FLAGS, "-fopenmp"], ["-fopenmp"]
        try:
            super().build_extension(ext)
        except Exception:
            ext.extra_compile_args, ext.extra_link_args = FLAGS, []
            super().build_extension(ext)


kernels = Extension(
    "snnkit.kernels._native",
    ["snnkit/kernels/csrc/native.c"],
    depends=[f"snnkit/kernels/csrc/{name}.inc" for name in ("isa", "rows", "lif", "counts", "scan")],
    optional=True,
)

setup(
    ext_modules=[] if os.environ.get("SNNKIT_NATIVE") == "0" else [kernels],
    cmdclass={"build_ext": BuildKernels},
)
