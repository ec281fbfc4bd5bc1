"""Hostile files: every one is read or refused, by an error of ours, soon, and without much memory."""

from __future__ import annotations

import os
import random
import resource
import time
import tracemalloc
from pathlib import Path

import pytest
from hostile import DROP, NAMES, crafted, damaged, good_file, mutate, read
from reader_samples import needs

from snnkit.errors import SnnkitError

SECONDS, MEMORY = 2.0, 2**30
CASES = int(os.environ.get("SNNKIT_FUZZ_CASES", 100_000))
SLOW = {"hdf5": 0.3, "npz": 0.5, "aedat4": 0}  # share of cases, where a case takes milliseconds


def cases(name: str) -> list[tuple[str, bytes]]:
    needs(name)
    return [*damaged(name), *crafted(name)]


@pytest.mark.parametrize("name", NAMES)
def test_hostile_files(name, tmp_path):
    path = tmp_path / "hostile"
    refused = longest = 0
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    found = cases(name)
    assert len(found) >= 40
    for what, content in found:
        path.write_bytes(content)
        for policies in ({}, DROP):
            tracemalloc.start()
            start = time.perf_counter()
            try:
                read(name, path, **policies)
            except SnnkitError as error:
                refused += 1
                longest = max(longest, len(str(error)))
            except BaseException as error:
                raise AssertionError(f"{name}, {what}: {error!r}") from error
            seconds, (_, peak) = time.perf_counter() - start, tracemalloc.get_traced_memory()
            tracemalloc.stop()
            assert peak < MEMORY, f"{name}, {what}: {peak} bytes"
            assert seconds < SECONDS, f"{name}, {what}: {seconds} s"
    assert refused > len(found) // 2
    kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before  # of C libraries too
    assert kib * 1024 < MEMORY
    assert longest < 2000


class Rewritten:
    """A file whose content is replaced many times; in memory where possible, which costs half."""

    def __init__(self, folder, name):
        # the HDF5 library takes a file of the same inode for the one it had open
        in_memory = hasattr(os, "memfd_create") and name != "hdf5"
        self.number = os.memfd_create(name) if in_memory else None
        self.path = Path(f"/proc/self/fd/{self.number}") if in_memory else folder / name

    def write(self, content):
        if self.number is None:
            self.path.unlink(missing_ok=True)  # an overwritten file is flushed to disk by some file systems
            self.path.write_bytes(content)
        else:
            os.ftruncate(self.number, 0)
            os.pwrite(self.number, content, 0)

    def close(self):
        if self.number is not None:
            os.close(self.number)


@pytest.mark.parametrize("name", [n for n in NAMES if SLOW.get(n, 1)])
def test_mutated_files(name, tmp_path):
    """A case is named by format and number; SNNKIT_FUZZ_CASES=1000000 for all of them ten times over."""
    count = int(CASES * SLOW.get(name, 1) / sum(SLOW.get(n, 1) for n in NAMES)) + 1
    others = [good_file(n) for n in ("dat", "wav", "npy")]
    file, good = Rewritten(tmp_path, name), [good_file(name, n) for n in (3, 12)]
    accepted = 0
    for case in range(count):
        rng = random.Random(f"{name} {case}")
        file.write(mutate(rng.choice(good), rng, rng.choice(others)))
        try:
            read(name, file.path, **(DROP if case % 2 else {}))
            accepted += 1
        except SnnkitError:
            pass
        except BaseException as error:
            raise AssertionError(f"{name}, case {case}: {error!r}") from error
    file.close()
    assert 0 < accepted < count
