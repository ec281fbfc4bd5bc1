"""What the token mixers of spiking transformers are worth, all networks trained alike.

    python -m benchmarks.token_mixers [--seeds 3] [--epochs 8]

Recipe "micro" (DigitsEvents 16x16, T = 4) with each network as it is, without its token mixers, and with
random ones (:func:`snnkit.train.set_mixers`); tested once at the end. Finished runs in --out are kept.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from snnkit.train import ablate_training

from .harness import save, show

MODELS = ("spikformer_test", "sdt_test", "max_former_test")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--only", nargs="+", default=MODELS, help="models (default: %(default)s)")
    parser.add_argument("--out", type=Path, default=Path("runs/token_mixers"))
    args = parser.parse_args()
    torch.set_num_threads(1)
    rows = []
    for model in args.only:
        settings = [f"--model.name={model}", f"--trainer.max_epochs={args.epochs}"]
        for row in ablate_training("micro", args.out / model, settings, seeds=args.seeds):
            low, high = (100 * share for share in row.interval)
            rows.append(
                {
                    "model": model,
                    "token mixer": row.mixer,
                    "seeds": row.seeds,
                    "accuracy %": f"{100 * row.accuracy:.1f} ({low:.1f} to {high:.1f})",
                    "energy, nJ": round(row.pj / 1e3),
                }
            )
    show("Token mixers after training: mean and range over seeds", rows)
    print(f"wrote {save('token_mixers', rows, epochs=args.epochs)}")


if __name__ == "__main__":
    main()
