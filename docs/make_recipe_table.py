"""Writes docs/recipes.md from the published recipes: ``python -m docs.make_recipe_table``."""

from __future__ import annotations

import inspect
import json
from pathlib import Path

from snnkit.train import PUBLISHED_RECIPES, PublishedRecipe, published

PAGE = Path(__file__).parent / "recipes.md"
COMMAND = "python -m docs.make_recipe_table"
HEAD = f"""# Published recipes

<!-- Written by `{COMMAND}`; change snnkit/train/published.py instead. -->

How the public codes train their networks on ImageNet, CIFAR-10, CIFAR-100, CIFAR10-DVS and DVS128 Gesture.
**The accuracies are published ones, in per cent; none was reproduced here.**

```
snnkit train spikformer_cifar10 --dry-run                    # one step on noise: does it start?
snnkit train spikformer_cifar10 --data FOLDER                # one process
snnkit train sdt_imagenet --data FOLDER --trainer.devices=8  # Lightning starts eight processes
torchrun --nproc_per_node=8 -m snnkit train sdt_imagenet --data FOLDER --trainer.devices=8
torchrun --nnodes=2 --nproc_per_node=8 --rdzv_backend=c10d --rdzv_endpoint=HOST:29500 \\
    -m snnkit train sdt_imagenet --data FOLDER --trainer.devices=8 --trainer.num_nodes=2
```

Under SLURM one task per GPU is asked for, and Lightning reads the rest from the environment:

```
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=8
#SBATCH --gpus-per-node=8
#SBATCH --cpus-per-task=10
srun snnkit train sdt_imagenet --data FOLDER --trainer.devices=8 --trainer.num_nodes=2 --resume
```

`--resume` goes on from the newest checkpoint, or begins: a job that is put back into the queue goes on by
itself. The batch size is that of one process, the rate that of the batch of all processes of the published
run: with another number of processes change `--data.batch_size`, or the rate. Other sizes of a family:
`--model.name=spikformer_8_384`. Any other value of a recipe is replaced in the same way, and `config.yaml`
in the folder of the run holds all of them.

Data are not downloaded. ImageNet: `train/<class>/*.JPEG` and `val/<class>/*.JPEG`; CIFAR: the folder of the
binary edition; events: see [data](data.md).
"""


def page() -> str:
    """The text of docs/recipes.md."""
    parts = [HEAD, "\n## Deviations\n\n"]
    parts.append(inspect.cleandoc(published.__doc__ or "").split("Deviations:\n\n")[1])
    parts.append("\n\n## Recipes\n\nSettings that are not named are those of the YAML file.\n\n")
    heads = ("recipe", "model", "processes", "differs from the YAML file", "read in", "published accuracy")
    parts.append(f"| {' | '.join(heads)} |\n| --- | --- | ---: | --- | --- | --- |\n")
    parts += [line(name, recipe) for name, recipe in PUBLISHED_RECIPES.items()]
    return "".join(parts).replace(":class:`snnkit.data.transforms.", "`").replace(":class:`.", "`")


def line(name: str, recipe: PublishedRecipe) -> str:
    """One row."""
    differs = ", ".join(f"{k.split('.', 1)[1]} {json.dumps(v)}" for k, v in recipe.settings.items())
    cells = (
        f"`{name}`",
        f"`{recipe.model}`",
        str(recipe.processes or "unknown"),
        f"{recipe.base}.yaml: {differs}" if differs else f"{recipe.base}.yaml",
        recipe.source,
        recipe.accuracy,
    )
    return "| " + " | ".join(cells).replace('"', "") + " |\n"


if __name__ == "__main__":
    PAGE.write_text(page())
