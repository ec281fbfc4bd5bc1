"""Energy of one inference: trace (what happened) -> price (counts x profile) -> report.

::

    report = snnkit.energy.estimate(net.eval(), frames, hardware="45nm-fp32")
    report.total_pj, report.by_layer, report.counterpart("qann").total_pj

:func:`trace` counts operations exactly on any ``nn.Module``; what it could not count is listed, never
zero. One trace serves any number of hardware profiles. Energies are in pJ per inference.
"""

from .alphabet import Alphabet
from .comparison import BreakEven, Sweep
from .counts import Counts
from .from_rates import from_rates
from .ledger import OpRecord
from .metrics import Metrics, footprint_bytes, metrics
from .neuron_rules import NeuronCost, NeuronSpec, neuron_rule
from .pictures import PICTURES
from .price import estimate, price
from .profile import Profile
from .profile_file import list_profiles, load_profile
from .references import REFERENCES
from .report import Line, Report
from .rules import FREE, Op, OpCount, rule
from .trace import Trace, Uncounted, trace

__all__ = [
    "FREE",
    "PICTURES",
    "REFERENCES",
    "Alphabet",
    "BreakEven",
    "Counts",
    "Line",
    "Metrics",
    "NeuronCost",
    "NeuronSpec",
    "Op",
    "OpCount",
    "OpRecord",
    "Profile",
    "Report",
    "Sweep",
    "Trace",
    "Uncounted",
    "estimate",
    "footprint_bytes",
    "from_rates",
    "list_profiles",
    "load_profile",
    "metrics",
    "neuron_rule",
    "price",
    "rule",
    "trace",
]
