"""Compiled networks: slow to start, then faster where torch.compile has something to gain."""

from __future__ import annotations

import logging
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import torch
from torch import nn

from flawshot.base.store.files import one_line

if TYPE_CHECKING:
    from collections.abc import Callable

    Network = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]

__all__ = ["CompiledNetwork", "compiled"]

# How often either network is timed.
ROUNDS = 5
# The difference between features, as a share of the largest, that another order of the same sums can cause.
TOLERANCE = {torch.float32: 1e-3, torch.float16: 2e-2, torch.bfloat16: 1e-1}


class CompiledNetwork:
    """A network compiled for one number of crops: fewer are filled up with blank ones, more are divided.

    Args:
        network: The network.
        crops: The number of crops for which it is compiled.
        threads: torch's threads for which it is compiled; with another number, the uncompiled network computes, because
            torch would compile again.
    """

    def __init__(self, network: nn.Module, crops: int, threads: int) -> None:
        self.network, self.crops, self.threads = network, crops, threads
        self._compiled: Network = torch.compile(network, dynamic=False)

    def __call__(self, images: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
        """Tokens of crops; see :meth:`flawshot.encoders.base.Encoder.encode`."""
        # Few crops at a time are the rest of a data set, or all that memory allows.
        if torch.get_num_threads() != self.threads or (images.device.type != "cpu" and len(images) < self.crops // 2):
            plain: torch.Tensor = self.network(images, masks)
            return plain
        parts = [
            self._compiled(self._filled(some), self._filled(inside))[: len(some)]
            for some, inside in zip(torch.split(images, self.crops), torch.split(masks, self.crops), strict=True)
        ]
        return torch.cat(parts)

    def _filled(self, some: torch.Tensor) -> torch.Tensor:
        # Always a new tensor: torch would compile again for one that was made outside its inference mode.
        full = some.new_zeros((self.crops, *some.shape[1:]))
        full[: len(some)] = some
        return full


def compiled(
    network: nn.Module, device: torch.device, side: int, crops: int, *, threads: int = 1
) -> tuple[Network, str]:
    """Compile a network, and take it only if it gives the same features sooner.

    Args:
        network: The network, on the device.
        device: The device.
        side: The side of its input, in px.
        crops: The number of crops that it is to encode at a time.
        threads: On the CPU, torch's threads that share the work of one layer; where crops are divided among threads, as
            :func:`flawshot.bank.encoding.encode_rows` does it, that is one.

    Returns:
        The compiled network, or the network itself; and in one line what was done, for the user.
    """
    if device.type != "cpu":
        return _compiled(network, device, side, crops)
    before = torch.get_num_threads()
    with ThreadPoolExecutor(1, "flawshot-compile", torch.set_num_threads, (threads,)) as pool:
        try:
            return pool.submit(_compiled, network, device, side, crops).result()
        finally:
            torch.set_num_threads(before)


@torch.inference_mode()
def _compiled(network: nn.Module, device: torch.device, side: int, crops: int) -> tuple[Network, str]:
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (crops, side, side, 3), dtype=torch.uint8, generator=generator).to(device)
    masks = torch.zeros(crops, side, side, dtype=torch.uint8)
    masks[:, side // 4 : side // 2, side // 4 : side // 2] = 255
    masks = masks.to(device)
    made = CompiledNetwork(network, crops, torch.get_num_threads())
    start = time.perf_counter()
    logger = logging.getLogger("torch.utils.cpp_extension")
    level = logger.level
    logger.setLevel(logging.ERROR)  # it warns on machines without a GPU that there is none
    try:
        plain = network(images, masks)
        fast = made(images, masks)
    except Exception as error:  # noqa: BLE001 - a missing compiler, or a network that cannot be compiled, raises anything
        return network, f"torch.compile failed ({one_line(error)[:120]}); the encoder runs uncompiled"
    finally:
        logger.setLevel(level)
    seconds = time.perf_counter() - start
    dtype = getattr(network, "dtype", None) or torch.float32
    off = float((fast - plain).abs().max() / plain.abs().max().clamp_min(1e-12))
    if not off <= TOLERANCE.get(dtype, TOLERANCE[torch.float32]):
        return (
            network,
            f"compiled in {seconds:.0f} s, but its features differ by {off:.0e}; the encoder runs uncompiled",
        )
    times = [_seconds(each, images, masks, device) for each in (network, made) * ROUNDS]
    ratio = min(times[::2]) / min(times[1::2])
    if ratio < 1:
        return network, f"compiled in {seconds:.0f} s, but {ratio:.2f} times as fast; the encoder runs uncompiled"
    return made, f"compiled in {seconds:.0f} s: {ratio:.2f} times as fast as uncompiled"


def _seconds(network: Network, images: torch.Tensor, masks: torch.Tensor, device: torch.device) -> float:
    """How long a network takes for some crops."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    start = time.perf_counter()
    network(images, masks)
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - start
