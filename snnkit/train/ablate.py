"""What the token mixers of a network are worth: without them, and with random ones.

STEP (arXiv 2505.11151) reports that spiking transformers lose little with frozen random queries and keys; a
token mixer should be compared with these baselines before anything is said about it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean

from torch import nn

from ..checks import integer
from .bill import energy_of, settle_norms
from .evaluate import evaluate, open_data, open_model, predict, wilson_interval
from .mixers import MIXER_KINDS, random_mixers, without_mixers
from .run import train

__all__ = ["Ablation", "ablate", "ablate_training"]


@dataclass(frozen=True)
class Ablation:
    """One row of :func:`ablate` and :func:`ablate_training`.

    Attributes:
        mixer: "own", "identity" or "random".
        accuracy: share of correct test samples, mean over the seeds.
        interval: 95 % Wilson interval of one network; smallest and largest accuracy of several.
        pj: energy of an inference, mean over the seeds.
        seeds: number of networks.
    """

    mixer: str
    accuracy: float
    interval: tuple[float, float]
    pj: float
    seeds: int = 1


def ablate(
    checkpoint: str | Path,
    data: str | None = None,
    *,
    samples: int = 64,
    hardware: str = "45nm-fp32",
    seed: int = 0,
) -> list[Ablation]:
    """Accuracy and energy of a trained network as it is, without token mixers, and with random ones.

    Nothing is trained again, so that the loss is an upper bound of what the mixer is worth: a network
    trained without it could do better (:func:`ablate_training`). Batch norms of the changed networks are set
    to training samples.

    Args:
        checkpoint: run folder or ``model.safetensors``. data: as in :func:`snnkit.train.evaluate`.
        samples: so many test samples are traced for the energy, and as many training samples, at least 256,
            seen by the norms. hardware: profile. seed: of the random mixers.

    Raises:
        ConfigError: the network has no token mixers.
    """
    integer("ablate.samples", samples)
    net, described = open_model(checkpoint)
    frames, labels = open_data(described, data).tensors()
    seen = open_data(described, data, "train").tensors()[0][: max(samples, 256)]
    variants: tuple[nn.Module, ...] = (net, without_mixers(net), random_mixers(net, seed))
    rows = []
    for name, variant in zip(MIXER_KINDS, variants, strict=True):
        if name != "own":
            settle_norms(variant, seen)
        correct = int((predict(variant, frames) == labels).sum())
        report = energy_of(variant, frames[:samples], hardware=hardware, twins=())["snn"]  # type: ignore[arg-type]
        interval = wilson_interval(correct, len(labels))
        rows.append(Ablation(name, correct / len(labels), interval, report.total_pj))
    return rows


def ablate_training(
    recipe: str,
    out: str | Path,
    overrides: Sequence[str] = (),
    *,
    seeds: int = 3,
    samples: int = 64,
    hardware: str = "45nm-fp32",
) -> list[Ablation]:
    """Accuracy and energy after training with the network's own token mixers, without, and with random ones.

    All networks are trained alike (:func:`snnkit.train.set_mixers` says what a random mixer is) and tested
    once, at the end. Finished runs in ``out`` are kept: the same call goes on where it was interrupted.

    Args:
        recipe, overrides: as of :func:`snnkit.train.train`. out: a folder per kind and seed is made in it.
        seeds: 0, 1, ... of each kind. samples, hardware: of the energy, as in :func:`ablate`.

    Raises:
        UnknownNameError, ConfigError: recipe, key or value, or a network without token mixers.
    """
    integer("ablate.samples", samples)
    rows = []
    for kind in MIXER_KINDS:
        accuracies, energies = [], []
        for seed in range(integer("ablate.seeds", seeds)):
            folder = Path(out) / f"{kind}_{seed}"
            train(
                recipe,
                folder,
                [*overrides, f"--model.mixers={kind}", f"--seed_everything={seed}"],
                resume=True,
            )
            accuracies.append(evaluate(folder).accuracy)
            net, described = open_model(folder)
            frames = open_data(described, None).tensors()[0][:samples]
            energies.append(energy_of(net, frames, hardware=hardware, twins=())["snn"].total_pj)
        spread = (min(accuracies), max(accuracies))
        rows.append(Ablation(kind, mean(accuracies), spread, mean(energies), seeds))
    return rows
