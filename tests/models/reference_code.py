"""The published codes beside ours: run by hand, with checkouts of them in one folder, as OWNER+NAME.

    python tests/models/reference_code.py FOLDER            # logits, firing rates, parameters of every size
    python tests/models/reference_code.py FOLDER --write    # and the files in reference_logits

What is run is what those files say: model, settings and shape of the input. A new one needs these alone.
Needs spikingjelly, on whose neurons the codes run. What else they import is replaced by stand-ins that
compute nothing, the quantised layers of QSD-Transformer by plain ones. QKFormer with membrane shortcuts for
events stops with a TypeError as it is published; its file was written with two lines of its embedding mended.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import io
import json
import re
import sys
import types
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from reference_weights import image, weights
from torch import Tensor, nn

from snnkit.models import MODELS, Backbone, create_model, from_reference, list_models
from snnkit.models.reference import LAYOUTS

RAW = argparse.RawDescriptionHelpFormatter
RECORDS = Path(__file__).parent / "reference_logits"
Settings = Mapping[str, Any]


@dataclass(frozen=True)
class Code:
    """Class or function ``name`` in a module below a folder of a repository, and its arguments from ours."""

    repository: str
    folder: str
    module: str
    name: str
    arguments: Callable[[Settings], dict[str, Any]]


def vit(s: Settings, **more: Any) -> dict[str, Any]:
    size = s["img_size"]
    common = {"patch_size": 16, "mlp_ratios": s.get("ratio", 4), "qkv_bias": False, "sr_ratios": 1}
    ours = {"embed_dims": s["width"], "num_heads": s["heads"], "in_channels": s["in_channels"]}
    return {"img_size_h": size, "img_size_w": size, "num_classes": s["num_classes"], **common, **ours, **more}


def deep(s: Settings) -> dict[str, Any]:
    return vit(s, depths=s["depth"])


def timed(s: Settings) -> dict[str, Any]:
    return vit(s, depths=s["depth"], T=s["T"])


def sdt(s: Settings) -> dict[str, Any]:
    return timed(s) | {"pooling_stat": s.get("pools", "1111"), "dvs_mode": s.get("max_filter", False)}


def meta(s: Settings) -> dict[str, Any]:
    more = {"embed_dims": None, "depths": 8}
    given = vit({"width": 0, "heads": 8, **s}, **more)
    given["embed_dim"] = list(s["widths"])
    return {k: v for k, v in given.items() if k != "embed_dims"}


def distilled(s: Settings) -> dict[str, Any]:
    return meta(s) | {"kd": s.get("distill", False)}


def hierarchy(s: Settings) -> dict[str, Any]:
    return vit(s, depths=sum(s["depths"]), T=s["T"])


def max_former(s: Settings) -> dict[str, Any]:
    given = {"embed_dims": s["width"], "mlp_ratios": s.get("ratio", 4), "depths": 4, "T": s["T"]}
    return given | {"in_channels": s["in_channels"], "num_classes": s["num_classes"]}


def resformer(s: Settings) -> dict[str, Any]:
    from spikingjelly.activation_based import layer

    layers = sys.modules["models.submodules.layers"]
    widths, head = s["widths"], s.get("head_width", 64)
    given: dict[str, Any] = {
        "layers": [["DSSA", "GWFFN"] * n for n in s.get("depths", (1, 2, 3))],
        "planes": list(widths),
        "num_heads": [w // head for w in widths],
        "patch_sizes": list(s.get("patches", (4, 2, 1))),
        "group_size": s.get("group", 64),
        "activation": layers.PLIF if s.get("learn_tau") else layers.LIF,
        **{k: s[k] for k in ("img_size", "T", "in_channels", "num_classes")},
    }
    if not s.get("stem_pool", True):  # of small images
        conv = layer.Conv2d(s["in_channels"], widths[0], 3, 1, 1, bias=False, step_mode="m")
        given["prologue"] = nn.Sequential(conv, layers.BN(widths[0]))
    return given


def sgl(s: Settings) -> dict[str, Any]:
    return vit(s, depths=sum(s["plan"][0]) + 1 if not s.get("weigh_steps", True) else 1, T=s["T"])


SPIKFORMER, SPIKINGFORMER = "ZK-Zhou/spikformer", "zhouchenlin2096/Spikingformer"
QKFORMER, MAXFORMER, SGLFORMER = "zhouchenlin2096/QKFormer", "bic-L/MaxFormer", "ZhangHanN1/SGLFormer"
BICLAB = "BICLab/Spike-Driven-Transformer"
V3 = "SDT_V3/Classification/Model_Base"
CODES = {
    "spikformer_imagenet": Code(SPIKFORMER, "imagenet", "model", "Spikformer", deep),
    "spikformer_cifar": Code(SPIKFORMER, "cifar10", "model", "Spikformer", timed),
    "spikformer_dvs": Code(SPIKFORMER, "cifar10dvs", "model", "Spikformer", deep),
    "spikingformer_imagenet": Code(SPIKINGFORMER, "imagenet", "model", "vit_snn", timed),
    "spikingformer_cifar": Code(SPIKINGFORMER, "cifar10", "model", "vit_snn", timed),
    "spikingformer_dvs": Code(SPIKINGFORMER, "cifar10-dvs", "model", "vit_snn", timed),
    "sdt": Code(BICLAB, ".", "model.spikeformer", "SpikeDrivenTransformer", sdt),
    "meta_spikeformer": Code(f"{BICLAB}-V2", "classification", "models", "Spiking_vit_MetaFormer", distilled),
    "qsd": Code("bollossom/QSD-Transformer", "classification", "models", "Spiking_vit_MetaFormer", meta),
    "sdt3": Code(f"{BICLAB}-V3", V3, "models", "Spiking_vit_MetaFormer_Spike_SepConv", meta),
    "max_former_imagenet": Code(MAXFORMER, "imagenet", "max_former", "Max_Former", max_former),
    "max_former_cifar": Code(MAXFORMER, "cifar10-100", "max_former", "Max_Former", max_former),
    "max_former_dvs": Code(MAXFORMER, "event", "max_former", "Max_Former", max_former),
    "ms_qkformer_imagenet": Code(MAXFORMER, "imagenet", "ms_qkformer", "MS_QKformer", max_former),
    "ms_qkformer_cifar": Code(MAXFORMER, "cifar10-100", "ms_qkformer", "MS_QKformer", max_former),
    "ms_qkformer_dvs": Code(MAXFORMER, "event", "ms_qkformer", "MS_QKformer", max_former),
    "max_resnet": Code(MAXFORMER, "cifar10-100", "max_resnet", "max_resnet18", lambda s: {"num_classes": 10}),
    "qkformer_imagenet": Code(
        QKFORMER, "imagenet", "qkformer", "hierarchical_spiking_transformer", hierarchy
    ),
    "qkformer_cifar": Code(QKFORMER, "cifar10", "model", "spiking_transformer", hierarchy),
    "qkformer_dvs": Code(QKFORMER, "cifar10-dvs", "model", "vit_snn", hierarchy),
    "sglformer_imagenet": Code(SGLFORMER, "imagenet", "sglformer_ima", "sglformer_ima", sgl),
    "sglformer_cifar": Code(SGLFORMER, "cifar10", "sglformer", "vit_snn", sgl),
    "sglformer_dvs": Code(SGLFORMER, "cifar10-dvs", "sglformer", "vit_snn", sgl),
    "spikingresformer": Code(
        "xyshi2000/SpikingResformer", ".", "models.spikingresformer", "SpikingResformer", resformer
    ),
}

DEFAULTS = {"img_size": 224, "in_channels": 3, "num_classes": 1000, "T": 4}


# -- the published code ----------------------------------------------------------------------------


def stand_ins() -> None:
    """Names that the published codes import; old spikingjelly becomes the one that is installed."""
    from spikingjelly.activation_based import functional, layer, neuron, surrogate

    def lif(tau: float = 2.0, v_threshold: float = 1.0, detach_reset: bool = False, **_: Any) -> nn.Module:
        return neuron.LIFNode(tau=tau, v_threshold=v_threshold, detach_reset=detach_reset, step_mode="m")

    def module(name: str, **members: Any) -> None:
        made = types.ModuleType(name)
        made.__dict__.update(members)
        sys.modules[name] = made

    def keep(function: Any) -> Any:
        return function

    def without_backend(init: Callable[..., None]) -> Callable[..., None]:
        return lambda self, *a, backend="", **k: init(self, *a, **k)

    for node in (neuron.LIFNode, neuron.ParametricLIFNode):
        node.__init__ = without_backend(node.__init__)
    layers = {"to_2tuple": lambda x: (x, x), "trunc_normal_": nn.init.trunc_normal_, "DropPath": nn.Identity}
    module("timm")
    module("timm.models", create_model=None, register_model=keep)
    module("timm.models.layers", **layers)
    module("timm.models.registry", register_model=keep)
    module("timm.models.vision_transformer", _cfg=lambda **_: {}, PatchEmbed=None, Block=None)
    for name in ("einops", "einops.layers", "torchinfo", "thop", "spikingjelly.clock_driven.layer"):
        module(name)
    module("einops.layers.torch", Rearrange=None)
    module("quan_w", Conv2dLSQ=nn.Conv2d, LinearLSQ=nn.Linear, Conv1dLSQ=nn.Conv1d)
    module("spikingjelly.clock_driven", layer=layer, functional=functional, surrogate=surrogate)
    module(
        "spikingjelly.clock_driven.neuron",
        MultiStepLIFNode=lif,
        MultiStepParametricLIFNode=neuron.ParametricLIFNode,
    )


def published(folder: Path, code: Code, settings: Settings) -> nn.Module:
    """The network of the published code."""
    root = folder / code.repository.replace("/", "+") / code.folder
    before = set(sys.modules)
    sys.path.insert(0, str(root))
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            made = getattr(importlib.import_module(code.module), code.name)
            net: nn.Module = made(**code.arguments(settings))
    finally:
        sys.path.pop(0)
        for name in set(sys.modules) - before:  # repositories have modules of equal names
            if str(root) in str(getattr(sys.modules[name], "__file__", "")):
                del sys.modules[name]
    net.T = settings["T"]  # type: ignore[assignment]
    return net


def settings_of(model: str, given: Settings | None = None) -> dict[str, Any]:
    return DEFAULTS | MODELS.get(model).keywords | dict(given or {})  # type: ignore[attr-defined]


# -- comparisons -----------------------------------------------------------------------------------


def code_of(model: str) -> Code | None:
    """The published code of a model of ours: the longest name that the model's name begins with."""
    name = re.sub(r"(_\d+)+$", "_imagenet", model)
    found = sorted((key for key in CODES if name.startswith(key)), key=len)
    return CODES[found[-1]] if found else None


@contextlib.contextmanager
def recorded(net: nn.Module, rows: int) -> Iterator[list[Tensor]]:
    """Mean output of every neuron over steps and samples, sorted, one tensor per layer."""
    rates: list[Tensor] = []
    gains = {m.attn: m.gain for m in net.modules() if hasattr(m, "gain")}

    def record(module: nn.Module, _: Any, out: Tensor) -> None:
        rates.append(gains.get(module, 1) * out.reshape(rows, -1).mean(0).sort().values)

    handles = [m.register_forward_hook(record) for m in net.modules() if fires(m)]
    yield rates
    for handle in handles:
        handle.remove()


def fires(module: nn.Module) -> bool:
    names = {c.__name__ for c in type(module).__mro__}
    theirs = {"BaseNode", "Multispike", "Multispike_att", "MultiSpike"}
    return hasattr(module, "spike_levels") or bool(names & theirs)


def answers(out: Any) -> list[Tensor]:
    return [a for a in (out if isinstance(out, tuple) else (out,)) if isinstance(a, Tensor)]


def by_mean(rates: list[Tensor]) -> list[Tensor]:
    return sorted(rates, key=lambda r: (round(float(r.mean()), 9), float(r.square().mean())))


def run(folder: Path, file: Path) -> dict[str, Any]:
    """Both codes on the same weights and image: the record of the published one; prints how ours differs."""
    from spikingjelly.activation_based import functional

    record = json.loads(file.read_text())
    model, shape = record["model"], record["input"]
    code, settings = code_of(model), settings_of(model, record["settings"])
    assert code is not None
    theirs = published(folder, code, settings).double()
    shapes = {k: list(v.shape) for k, v in theirs.state_dict().items()}
    theirs.load_state_dict(weights(shapes))
    x, events = image(shape), len(shape) == 5
    rows = shape[0] * (shape[1] if events else settings["T"])
    with torch.no_grad(), recorded(theirs.eval(), rows) as wanted:
        logits = answers(theirs(x))[0]
        logits = logits.mean(0) if logits.ndim == 3 else logits  # SpikingResformer answers per step
    ours, unused = from_reference(model, weights(shapes), **record["settings"])
    with torch.no_grad(), recorded(ours, rows) as rates:
        out = ours(x, time_axis=1) if events else ours(x)
    assert [len(r) for r in by_mean(rates)] == [len(r) for r in by_mean(wanted)]
    off = max(float((a - b).abs().max()) for a, b in zip(by_mean(rates), by_mean(wanted), strict=True))
    functional.reset_net(theirs)
    two = torch.cat([x, x.flip(-1)])  # a batch norm over one value has no gradient
    sum(answer.sum() for answer in answers(theirs.train()(two))).backward()
    live = sum(p.numel() for p in theirs.parameters() if p.grad is not None)
    print(
        f"{file.stem:24}logits {float((out - logits).abs().max()):.0e} of {float(logits.abs().max()):5.2f}   "
        f"rates of {sum(map(len, rates)):>9,} neurons in {len(rates):3} layers {off:.0e}   "
        f"parameters {sum(p.numel() for p in ours.parameters()):,} of {live:,} with a gradient there, "
        f"{len(unused)} keys unused",
        flush=True,
    )
    return {
        "source": f"github.com/{code.repository} {Path(code.folder, *code.module.split('.'))}.py",
        "model": model,
        "settings": record["settings"],
        "events": events,
        "input": shape,
        "logits": logits.tolist(),
        "rates": sorted(float(r.mean()) for r in wanted),
        "shapes": {k: v for k, v in shapes.items() if not k.endswith("num_batches_tracked")},
    }


def size(folder: Path, model: str) -> None:
    """Parameters of a registered size, and how they begin: those that ours has a name for, and the rest."""
    code = code_of(model)
    if code is None:
        print(f"{model:26}no published code")
        return
    theirs = dict(published(folder, code, settings_of(model)).named_parameters())
    ours = create_model(model)
    layout = LAYOUTS[MODELS.get(model).func](ours, theirs.keys())  # type: ignore[attr-defined]
    same = 0
    for key, parameter in ours.named_parameters():
        there = theirs.pop(layout.there(key) or "")
        assert there.numel() == parameter.numel(), key
        same += there.numel()
        begins = [float(t.std(correction=0)) for t in (parameter, there)]
        if abs(begins[0] - begins[1]) > 5 * parameter.numel() ** -0.5 * max(begins):  # more than chance
            print(f"{key}: begins with a deviation of {begins[0]:.3g}, published {begins[1]:.3g}")
    unused = sum(parameter.numel() for parameter in theirs.values())
    odd = [key for key in theirs if not any(re.fullmatch(dead, key) for dead in layout.dead)]
    print(f"{model:26}{same:>11,} parameters, and {unused:,} unused ones there", *odd, flush=True)


def written(record: Mapping[str, Any]) -> str:
    """JSON with a line per tensor."""
    sizes = record["shapes"]
    lines = [f" {json.dumps(k)}: {json.dumps(v)}," for k, v in record.items() if k != "shapes"]
    shapes = [f"  {json.dumps(k)}: {json.dumps(v, separators=(',', ':'))}" for k, v in sizes.items()]
    return "\n".join(["{", *lines, ' "shapes": {', ",\n".join(shapes), " }\n}\n"])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="of the checkouts")
    parser.add_argument("--only", default="*", help="names of files and sizes that match a pattern")
    parser.add_argument("--write", action="store_true", help="the files in reference_logits")
    chosen = parser.parse_args()
    stand_ins()
    warnings.simplefilter("ignore")
    torch.set_default_dtype(torch.float64)
    for file in sorted(RECORDS.glob(f"{chosen.only}.json")):
        try:
            record = run(chosen.folder, file)
        except TypeError as error:
            print(f"{file.stem:24}the published code stops: {error}", flush=True)
            continue
        if chosen.write:
            file.write_text(written(record))
    torch.set_default_dtype(torch.float32)
    for model in list_models(chosen.only):
        if not model.endswith(("_test", "_micro")) and isinstance(create_model(model), Backbone):
            size(chosen.folder, model)


if __name__ == "__main__":
    main()
