"""Time to import each library on top of torch, and to the first call of a neuron; fresh processes.

python -m benchmarks.imports
"""

from __future__ import annotations

import subprocess
import sys
from statistics import median

from .harness import save, show

IMPORTS = {
    "ours": "import snnkit; snnkit.LIF",
    "spikingjelly": "import spikingjelly.activation_based.neuron",
    "snntorch": "import snntorch",
    "norse": "import norse.torch",
}
TIMED = "import torch, time; torch.rand(2); t = time.perf_counter(); {}; print(time.perf_counter() - t)"
FIRST = TIMED.replace("t = time", "import snnkit; x, n = torch.rand(4, 1, 1000), snnkit.LIF(); t = time")


def seconds(code: str, repeats: int = 5) -> float:
    command = [sys.executable, "-W", "ignore", "-c", code]
    outs = (
        subprocess.run(command, check=True, capture_output=True, text=True).stdout for _ in range(repeats)
    )
    return median(float(out.splitlines()[-1]) for out in outs)


def main() -> None:
    rows = [{"library": name, "import, s": seconds(TIMED.format(code))} for name, code in IMPORTS.items()]
    rows.append({"library": "ours, first call of LIF", "import, s": seconds(FIRST.format("n(x)"))})
    show("import beyond torch", rows)
    print(f"wrote {save('imports', rows)}")


if __name__ == "__main__":
    main()
