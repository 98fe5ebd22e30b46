"""Train the embedded encoder: ``python -m flawshot.synthetic.train OUT``.

Draws a corpus of scenes (some minutes; once), then trains flawshot-tiny on it from random weights: a first part at
64 px, the rest at 96 px. Everything is seeded; an interrupted run resumes from its last checkpoint when it is called
again. OUT then contains ``flawshot-tiny.safetensors`` (float16) and ``training.json``, which records the recipe and the
accuracy on drawn surfaces and flaws that were never trained on. No photograph is read.
"""

from __future__ import annotations

import argparse
import copy
import json
import math
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import open_clip
import torch
from safetensors.torch import save_file
from torch.nn import functional

from flawshot.base.store.files import write_json, write_with
from flawshot.encoders.base import hash_weights
from flawshot.encoders.flawshot_tiny import TINY
from flawshot.synthetic.training.batches import BatchPlan, TrainingBatch, batches
from flawshot.synthetic.training.corpus import Corpus, CorpusPlan, draw_corpus
from flawshot.synthetic.training.losses import Targets, losses
from flawshot.synthetic.training.network import Network
from flawshot.synthetic.training.validation import few_shot_accuracy, trunk_features

__all__ = ["Recipe", "main", "train"]

SIDES = (64, 96)
CORPUS_SIDE = 104
# One in this many crops is compared with captions, because the text tower would take too much time for all.
TOLD = 2


@dataclass(frozen=True, slots=True)
class Recipe:
    """How training runs.

    Attributes:
        seed: Of corpus, weights and batches.
        products: Of the corpus.
        steps: In all.
        small: Share of the steps that run at 64 px.
        frozen: Share of the steps, at the end, in which the batch statistics stand still.
        rate: The highest learning rate.
        decay: Of the weights.
        memory: Of the moving average of the weights, which is what is shipped.
    """

    seed: int = 0
    products: int = 8000
    steps: int = 10000
    small: float = 0.55
    frozen: float = 0.25
    rate: float = 2e-3
    decay: float = 0.05
    memory: float = 0.998


def train(recipe: Recipe, out: Path, *, threads: int = 0) -> dict[str, Any]:
    """Train, resuming from the last checkpoint in ``out``.

    Args:
        recipe: The recipe.
        out: Folder of the corpus, the checkpoint and the result.
        threads: Number of threads; 0: torch's choice.

    Returns:
        The content of ``training.json``.
    """
    if threads:
        torch.set_num_threads(threads)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    corpus = draw_corpus(
        CorpusPlan(recipe.products, views=1, side=CORPUS_SIDE, seed=recipe.seed, first_hard=recipe.products // 2),
        out / "corpus",
        progress=_note("drawn", 250),
    )
    watched = draw_corpus(
        CorpusPlan(48, instances=10, views=3, side=96, seed=recipe.seed, held_out=True), out / "held-out"
    )
    torch.manual_seed(recipe.seed)
    network = Network().to(device).to(memory_format=torch.channels_last)
    average = copy.deepcopy(network).eval().requires_grad_(requires_grad=False)
    optimizer = torch.optim.AdamW(_groups(network, recipe.decay), lr=recipe.rate, betas=(0.9, 0.98), fused=True)
    checkpoint, first, log = out / "checkpoint.pt", 0, []
    if checkpoint.exists():
        state = torch.load(checkpoint, map_location=device, weights_only=True)
        if state["recipe"] != asdict(recipe):
            raise ValueError(f"{checkpoint}: belongs to another recipe; name another folder")
        network.load_state_dict(state["network"])
        average.load_state_dict(state["average"])
        optimizer.load_state_dict(state["optimizer"])
        first, log = state["step"], state["log"]
    switch = round(recipe.small * recipe.steps)
    started = time.monotonic()
    for side, span in ((SIDES[0], range(first, switch)), (SIDES[1], range(max(first, switch), recipe.steps))):
        for step, batch in zip(
            span, batches(corpus, BatchPlan(), SIDES[1], span, recipe.steps, recipe.seed), strict=False
        ):
            for group in optimizer.param_groups:
                group["lr"] = _rate(step, recipe)
            frozen = step >= (1 - recipe.frozen) * recipe.steps
            parts = _step(network, batch, optimizer, side, device, frozen=frozen)
            _follow(average, network, min(recipe.memory, (1 + step) / (20 + step)))
            if step % 100 == 0:
                said = " ".join(f"{name} {float(value):.3f}" for name, value in parts.items())
                print(f"step {step} at {side} px: {said}; {(time.monotonic() - started):.0f} s", flush=True)  # noqa: T201
            if (step + 1) % 1000 == 0 or step + 1 == recipe.steps:
                log.append({"step": step + 1, **_watch(average, watched, device)})
                print(json.dumps(log[-1]), flush=True)  # noqa: T201
                _save(checkpoint, recipe, network, average, optimizer, step + 1, log)
    return _ship(average, recipe, out, log)


def _groups(network: Network, decay: float) -> list[dict[str, Any]]:
    """Weights that decay, and those (gains, biases, scales) that do not."""
    kept = [p for p in network.parameters() if p.ndim < 2]
    return [
        {"params": [p for p in network.parameters() if p.ndim >= 2], "weight_decay": decay},
        {"params": kept, "weight_decay": 0.0},
    ]


def _rate(step: int, recipe: Recipe) -> float:
    warm = min(1.0, (step + 1) / 300)
    return recipe.rate * warm * (0.02 + 0.98 * (1 + math.cos(math.pi * step / recipe.steps)) / 2)


def _step(
    network: Network,
    batch: TrainingBatch,
    optimizer: torch.optim.Optimizer,
    side: int,
    device: torch.device,
    *,
    frozen: bool,
) -> dict[str, torch.Tensor]:
    network.train()
    if frozen:
        for module in network.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.eval()
    crops = torch.from_numpy(batch.pixels).to(device).permute(0, 3, 1, 2)
    if side != crops.shape[-1]:
        crops = functional.interpolate(crops.float(), size=(side, side), mode="area")
    crops = crops.contiguous(memory_format=torch.channels_last)
    masked = torch.from_numpy(batch.masked).to(device)
    attributes = torch.from_numpy(batch.attributes).to(device)
    tokens = open_clip.get_tokenizer(TINY)(batch.captions[::TOLD]).to(device)
    with torch.autocast(device.type, dtype=torch.bfloat16):
        out = network(crops, masked)
        text = functional.normalize(network.clip.encode_text(tokens).float(), dim=-1)
    cover = torch.from_numpy(batch.cover).to(device).sqrt()
    targets = Targets(
        shape=BatchPlan(),
        flaw=attributes[:, 0].long(),
        surface=attributes[:, 1].long(),
        form=torch.stack([attributes[:, 3], attributes[:, 4], cover], dim=1),
        mask=crops[:, 3:].float() / 255,
        masked=masked,
        text=text,
    )
    scales = network.clip.logit_scale.exp().clamp(max=50), network.episode_scale.exp().clamp(max=40)
    parts = losses(out._replace(**{k: v.float() for k, v in out._asdict().items()}), targets, *scales)
    optimizer.zero_grad(set_to_none=True)
    total = torch.stack(list(parts.values())).sum()
    total.backward()  # type: ignore[no-untyped-call]
    torch.nn.utils.clip_grad_norm_(network.parameters(), 2.0)
    optimizer.step()
    return {name: value.detach() for name, value in parts.items()}


@torch.no_grad()
def _follow(average: Network, network: Network, memory: float) -> None:
    mine: list[torch.Tensor] = list(average.parameters())
    torch._foreach_lerp_(mine, [p.detach() for p in network.parameters()], 1 - memory)
    for own, given in zip(average.buffers(), network.buffers(), strict=True):
        own.copy_(given)


def _watch(average: Network, corpus: Corpus, device: torch.device) -> dict[str, Any]:
    """Few-shot accuracy on held-out surfaces and flaws, without and with the mask."""
    watching = copy.deepcopy(average).to("cpu") if device.type != "cpu" else average
    found: dict[str, Any] = {}
    for name, masked in (("without mask", False), ("with mask", True)):
        features = trunk_features(watching, corpus, masked=masked)
        for classifier in ("zip-adapter", "default"):
            accuracy = few_shot_accuracy(features, (1, 3, 5), classifier)
            found[f"{classifier} {name}"] = {str(k): round(value, 4) for k, value in accuracy.items()}
    return found


def _save(  # noqa: PLR0917
    path: Path,
    recipe: Recipe,
    network: Network,
    average: Network,
    optimizer: torch.optim.Optimizer,
    step: int,
    log: list[dict[str, Any]],
) -> None:
    state = {
        "recipe": asdict(recipe),
        "network": network.state_dict(),
        "average": average.state_dict(),
        "optimizer": optimizer.state_dict(),
        "step": step,
        "log": log,
    }
    write_with(path, lambda place: torch.save(state, place), overwrite=True)


def _ship(average: Network, recipe: Recipe, out: Path, log: list[dict[str, Any]]) -> dict[str, Any]:
    state = {
        name: (tensor.half() if tensor.is_floating_point() else tensor).contiguous().cpu()
        for name, tensor in average.shipped()
    }
    path = out / f"{TINY}.safetensors"
    write_with(path, lambda place: save_file(state, place), overwrite=True)
    record = {"recipe": asdict(recipe), "weights_hash": hash_weights(state), "held_out": log}
    write_json(out / "training.json", record, overwrite=True)
    return record


def _note(what: str, every: int) -> Any:
    def note(done: int, total: int) -> None:
        if done % every == 0 or done == total:
            print(f"{what} {done} of {total}", flush=True)  # noqa: T201

    return note


def main() -> None:
    """Train from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="folder of the corpus (some GB), the checkpoint and the result")
    parser.add_argument("--seed", type=int, default=Recipe().seed)
    parser.add_argument("--products", type=int, default=Recipe().products, help="in the corpus, 24 scenes each")
    parser.add_argument("--steps", type=int, default=Recipe().steps)
    parser.add_argument("--threads", type=int, default=0)
    options = parser.parse_args()
    record = train(Recipe(options.seed, options.products, options.steps), options.out, threads=options.threads)
    print(json.dumps(record["held_out"][-1]))  # noqa: T201


if __name__ == "__main__":
    main()
