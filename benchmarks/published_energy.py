"""Published energies of spiking networks beside what their own numbers add up to here.

python -m benchmarks.published_energy            (SNNKIT_DATA: folder of the Spikingformer table)

Every row names its source. "from rates" reads operations and firing rates that were published; "closes"
adds published totals up; a row that applies a rate twice is refused, and shown as corrected.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from snnkit.energy import from_rates
from snnkit.errors import FormatError

from .harness import RESULTS

SPIKINGFORMER = "energy_spikingformer_8_512.csv"
GSOP, GMAC = 11.09e9, 0.347e9  # Spikformer-8-512 as quoted: 11.09 G synaptic operations, first layer as MACs


@dataclass(frozen=True)
class Row:
    """One published figure in mJ, and ours; ``evidence``: how the figure was seen."""

    network: str
    source: str
    how: str
    evidence: str
    published_mj: float
    ours_mj: float

    @property
    def difference(self) -> float:
        """Relative to the published figure."""
        return self.ours_mj / self.published_mj - 1


def totals(name: str, gmac: float, gac: float) -> float:
    """mJ of published totals in G operations."""
    return from_rates([{"row": "total", "name": name, "macs": gmac * 1e9, "acs": gac * 1e9}]).total_mj


def rows() -> list[Row]:
    """All figures; the Spikingformer table only where it is at hand."""
    found = []
    folder = os.environ.get("SNNKIT_DATA")
    if folder and (Path(folder) / SPIKINGFORMER).is_file():
        report = from_rates(Path(folder) / SPIKINGFORMER, heads=8, head_dim=64, tokens=196, T=4)
        source = "Spikingformer repository, energy_consumption_logs"
        found.append(Row("Spikingformer-8-512", source, "from rates", "read", 7.46350260, report.total_mj))
    readme = "syops-counter README"
    for name, gmac, gac, published in (
        ("spiking_resnet18", 0.14, 0.10, 0.734),
        ("sew_resnet18", 2.75, 0.50, 13.10),
        ("resnet18", 1.82, 0.0, 8.372),
    ):
        found.append(Row(name, readme, "closes", "read", published, totals(name, gmac, gac)))
    spikformer = totals("Spikformer-8-512", GMAC / 1e9, GSOP / 1e9)
    found.append(Row("Spikformer-8-512", "as quoted from the paper", "closes", "quoted", 11.577, spikformer))
    once = {"row": "layer", "name": "all", "dense_ops": 18.39e6, "firing_rate_percent": 13.66}
    corrected = from_rates([once]).total_mj
    found.append(
        Row("PMC10242054, table 3", "rate applied twice there", "corrected", "printed", 0.309e-3, corrected)
    )
    return found


def refusal() -> str:
    """What ``from_rates`` says to a row that holds operations times rate, and the rate again."""
    twice = {"row": "layer", "name": "all", "sop": 2.51e6, "firing_rate_percent": 13.66}
    try:
        from_rates([twice])
    except FormatError as error:
        return str(error)
    raise AssertionError("a rate was applied twice")


def repriced(share: float) -> float:
    """mJ of Spikformer-8-512 if ``share`` of its operations have inputs that are no spikes, as MACs."""
    return totals("Spikformer-8-512", GMAC / 1e9 + share * GSOP / 1e9, (1 - share) * GSOP / 1e9)


def main() -> None:
    """Print the comparison and write it to the results."""
    table = Table("network", "source", "how", "evidence", "published", "ours", "difference")
    found = rows()
    for row in found:
        numbers = (f"{row.published_mj:.6g} mJ", f"{row.ours_mj:.6g} mJ", f"{row.difference:+.2%}")
        table.add_row(row.network, row.source, row.how, row.evidence, *numbers)
    console = Console(width=140)
    console.print(table)
    share = (18.82 - repriced(0)) / (repriced(1) - repriced(0))
    console.print(
        f"The Spikingformer repository prices Spikformer-8-512 at 18.82 mJ, because sums of residuals are no "
        f"spikes: {share:.1%} of its operations as MACs would give {repriced(share):.4g} mJ (inferred). For "
        'a traced model, price(trace, "spikingformer-script") and price(trace, "sop-rule", multilevel="mac") '
        "are the two policies."
    )
    console.print(f"refused: {refusal()}")
    result: dict[str, Any] = {"rows": [asdict(row) | {"difference": row.difference} for row in found]}
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "published_energy.json").write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
