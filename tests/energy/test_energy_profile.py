"""Hardware profiles: every number has a source, and nothing else is believed."""

from __future__ import annotations

import random

import pytest
import torch
from torch import nn

from snnkit.energy import estimate, list_profiles, load_profile, price
from snnkit.energy.profile_file import EVIDENCE
from snnkit.errors import ProfileError

GOOD = """
id = "mine"
arithmetic = "int"
bits = 8
node_nm = 28
[options]
zero_skip = true
[[op]]
name = "add"
dtype = "int"
bits = 8
pj = 0.02
source = "a measurement"
[[op]]
name = "mul"
dtype = "int"
bits = 8
value = 0.1
low = 0.05
high = 0.2
unit = "nJ"
source = "a measurement"
[[mem]]
level = "sram"
capacity_bytes = 1024
access_bits = 32
value = 500
unit = "fJ"
source = "a measurement"
"""


def test_a_profile_of_ones_own(tmp_path, tiny):
    path = tmp_path / "mine.toml"
    path.write_text(GOOD)
    profile = load_profile(path)
    assert profile.price("mul", "int", 8, 8) == (100.0, False)
    assert profile.memory[0].pj_per_bit == pytest.approx(0.5 / 32)
    assert profile.options["zero_skip"] is True
    report = price(tiny, str(path))
    assert report.hardware == "mine"
    assert [u.op for u in report.uncounted] == ["neuron_steps"]  # it has no price for a comparison
    with pytest.raises(ProfileError, match="fit no memory level"):
        estimate(nn.Linear(100, 100), torch.ones(1, 100), path)


@pytest.mark.parametrize("name", list_profiles())
def test_every_shipped_number_has_a_source(name):
    profile = load_profile(name)
    assert profile.id == name
    assert profile.title
    for number in profile.numbers:
        assert number.source
        assert number.evidence in EVIDENCE


def test_the_power_laws_meet_the_published_points():
    profile = load_profile("45nm-int8")
    for law in profile.scaling:
        for op in profile.ops:
            if (op.name, op.dtype) == (law.name, law.dtype):
                assert law.pj * (op.bits / law.bits) ** law.exponent == pytest.approx(op.pj, rel=2e-3)
    assert profile.price("mul", "int", 4, 4)[1]  # extrapolated
    assert not profile.price("mul", "int", 16, 16)[1]


@pytest.mark.parametrize(
    ("old", "new", "match"),
    [
        ('source = "a measurement"\n[[op]]', "[[op]]", "without a source"),
        ('source = "a measurement"\n[[op]]', 'source = ""\n[[op]]', "source"),
        ("pj = 0.02", "pj = nan", "finite"),
        ("pj = 0.02", "pj = inf", "finite"),
        ("pj = 0.02", "pj = -1", "finite"),
        ("pj = 0.02", "pj = true", "finite"),
        ("pj = 0.02", 'pj = "0.02"', "finite"),
        ("pj = 0.02", f"pj = {10**400}", "finite"),
        ("pj = 0.02", "pj = 0.02\nvalue = 1", "once"),
        ("pj = 0.02\n", "", "once"),
        ('unit = "nJ"', 'unit = "kWh"', "one of fJ, pJ, nJ"),
        ('unit = "nJ"\n', "", "unit"),
        ("low = 0.05", "low = 0.5", "low..high"),
        ('name = "add"', 'name = "divide"', "one of"),
        ('dtype = "int"\nbits = 8\npj', 'dtype = "bf"\nbits = 8\npj', "one of"),
        ("bits = 8\npj", "bits = 0\npj", "positive integer"),
        ("bits = 8\npj", "bits = 8.5\npj", "positive integer"),
        ("access_bits = 32", "access_bits = -4", "positive integer"),
        ("capacity_bytes = 1024", "capacity_bytes = 1e3", "positive integer"),
        ("zero_skip = true", "zero_skip = 1", "True or False"),
        ("zero_skip = true", "magic = true", "unknown key"),
        ("node_nm = 28", "node_nm = 0", "> 0"),
        ("node_nm = 28", "colour = 28", "unknown key"),
        ('id = "mine"', "", "id"),
        ('id = "mine"', "id = 3", "id"),
        ("[options]", "options = 3\n[other]", "table"),
        ("[[mem]]", "[mem]", "tables"),
        ("[[op]]", "[[op", "not valid TOML"),
        ("bits = 8\nnode", "node", "bits"),
    ],
)
def test_malformed_profiles(tmp_path, old, new, match):
    assert old in GOOD
    path = tmp_path / "bad.toml"
    path.write_text(GOOD.replace(old, new, 1))
    with pytest.raises(ProfileError, match=match):
        load_profile(path)


def test_hostile_profile_files(tmp_path):
    for name, data in {
        "binary": bytes(range(256)), "empty": b"", "deep": b"a = " + b"[" * 100_000, "long": b"#" * (2 << 20),
        "keys": b"a" * 5000 + b" = 1",
    }.items():  # fmt: skip
        path = tmp_path / f"{name}.toml"
        path.write_bytes(data)
        with pytest.raises(ProfileError) as info:
            load_profile(path)
        assert len(str(info.value)) < 1500
    for missing in (tmp_path / "none.toml", tmp_path, "nul\0.toml"):
        with pytest.raises(ProfileError):
            load_profile(missing)


def test_mutated_profiles_raise_nothing_else(tmp_path):
    generator = torch.Generator().manual_seed(0)
    data, path, errors = GOOD.encode(), tmp_path / "m.toml", 0
    for _ in range(400):
        at, value = (int(torch.randint(n, (), generator=generator)) for n in (len(data), 256))
        path.write_bytes(data[:at] + bytes([value]) + data[at + 1 :])
        try:
            load_profile(path)
        except ProfileError:
            errors += 1
    assert errors > 100


CHIP = """
id = "chip"
scope = "system"
[options]
unroll_levels = 3
[options.reuse]
w = 2.0
[[event]]
name = "synop"
value = 5.0
unit = "pJ"
source = "a measurement"
"""
NUMBERS = ["nan", "-nan", "inf", "-1", "-1e-9", "true", '"1"', "[]", "{}", "1979-05-27", "[1.0]", "1e301"]
WHOLES = [*NUMBERS, "0", "0.5", "8.0", str(1 << 63), str(-(1 << 70)), str(10**400)]
WORDS = ["3", "nan", "true", "[]", "{}", '""', '" "', '"add\\u0000"', '"kWh"', "1979-05-27", '["add"]']
BROKEN = {  # key -> what no profile may hold there
    "value": NUMBERS, "pj": NUMBERS, "node_nm": [*NUMBERS, "0"], "bits": WHOLES, "access_bits": WHOLES,
    "capacity_bytes": WHOLES, "unroll_levels": WHOLES, "zero_skip": ["1", '"yes"', "[]", "nan"],
    "low": [*NUMBERS, "1e9"], "high": [*NUMBERS, "1e-9"], "name": WORDS, "dtype": WORDS, "unit": WORDS,
    "id": WORDS[:7], "source": WORDS[:7], "scope": WORDS, "arithmetic": WORDS, "level": WORDS[:7],
    "w": [*NUMBERS[:-1], "0.5"],
}  # fmt: skip


def malformed(choose):
    """A TOML file with one to three faults, each of which no profile may have."""
    lines = choose([GOOD, CHIP]).strip().splitlines()
    for _ in range(choose([1, 1, 2, 3])):
        at = choose(range(len(lines)))
        key, _, _ = lines[at].partition(" = ")
        fault = choose(["value", "value", "value", "unknown", "twice", "source", "cut", "table", "options"])
        if fault == "value" and key in BROKEN:
            lines[at] = f"{key} = {choose(BROKEN[key])}"
        elif fault == "twice" and " = " in lines[at]:
            lines.insert(at, lines[at])
        elif fault == "source":
            lines = [line for line in lines if not line.startswith("source")]
        elif fault == "cut":
            lines[at] = lines[at][: len(lines[at]) // 2] + choose(["=", "[", "\\", "\x07"])
        elif fault == "table":
            lines.append(choose(["[op]", "[[options]]", "[mem.x]", "[[event.name]]", "[[[op]]]", "[id]"]))
        elif fault == "options":
            lines += ["[[scaling]]", choose(["exponent = 9", "ref_bits = 8", "name = 'mul'", "bits = 8"])]
        else:
            lines.insert(at, f"unknown_{choose(range(99))} = {choose(WORDS[:7])}")
    return "\n".join(lines)


def survivors(number, seed, path):
    """Those out of ``number`` malformed files that were accepted; no error but ProfileError is caught."""
    choose = random.Random(seed).choice
    accepted = []
    for _ in range(number):
        path.write_text(text := malformed(choose))
        try:
            load_profile(path)
            accepted.append(text)
        except ProfileError:
            pass
    return accepted


@pytest.mark.parametrize(("number", "seed"), [(1000, 0), pytest.param(10_000, 1, marks=pytest.mark.slow)])
def test_malformed_files_give_profile_errors_only(tmp_path, number, seed):
    assert survivors(number, seed, tmp_path / "m.toml") == []


def test_the_files_that_are_broken_for_fuzzing_are_good(tmp_path):
    for text in (GOOD, CHIP):
        path = tmp_path / "good.toml"
        path.write_text(text)
        assert load_profile(path).numbers
