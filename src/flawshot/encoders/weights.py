"""Weights files, read as tensors only."""

from __future__ import annotations

import logging
import warnings
import zipfile
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch
from safetensors.torch import load_file

from flawshot.base.arguments import argument
from flawshot.base.errors import FlawshotError, printable
from flawshot.base.store.files import one_line

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["downloading", "read_weights"]


@contextmanager
def downloading(pretrained: str) -> Iterator[None]:
    """Within the block, weights are downloaded: the hub's client does not report its retries.

    Args:
        pretrained: The tag, for the error.

    Raises:
        FlawshotError: With one line, if anything fails.
    """
    loggers = [logging.getLogger(name) for name in (None, "huggingface_hub", "timm")]
    levels = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.CRITICAL)
        yield
    except Exception as error:  # the hub's client raises many kinds
        reason = one_line(error).partition(". ")[0][:160]
        raise FlawshotError(
            f"{argument('pretrained', pretrained)}: cannot be downloaded ({reason}); offline, use a local file"
        ) from error
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def read_weights(path: Path) -> dict[str, torch.Tensor]:
    """Read a state dictionary onto the CPU.

    Args:
        path: ``.safetensors``, or a file saved by ``torch.save`` that contains only tensors, directly or under
            ``state_dict`` or ``model``; a leading ``module.`` of the names is dropped.

    Raises:
        FlawshotError: With one line, if it contains anything else. A TorchScript archive, such as OpenAI's original
            files, is refused, because loading it runs its code.
    """
    try:
        if not path.is_file():
            raise FlawshotError(f"{argument('pretrained', path)}: there is no such file")
        return _usable(path, _tensors(path))
    except OSError as error:
        raise FlawshotError(
            f"{argument('pretrained', path)}: cannot be read ({error.strerror or one_line(error)})"
        ) from error


def _tensors(path: Path) -> dict[str, torch.Tensor]:
    if path.suffix == ".safetensors":
        try:
            return load_file(path, device="cpu")
        except (
            Exception
        ) as error:  # the library raises anything on what it does not expect, such as types that torch lacks
            reason = one_line(error)[:200]
            raise FlawshotError(
                f"{argument('pretrained', path)}: is not a whole safetensors file ({reason})"
            ) from error
    names = _archived(path)
    if any(name.endswith("/constants.pkl") or "/code/" in name for name in names):
        raise FlawshotError(
            f"{argument('pretrained', path)}: is a TorchScript archive, which contains code; save its weights as "
            ".safetensors, or use the open_clip tag 'openai' of a -quickgelu model"
        )
    try:
        with warnings.catch_warnings(action="ignore"):  # torch warns about odd files
            loaded = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged or hostile file makes torch.load raise anything at all
        raise FlawshotError(
            f"{argument('pretrained', path)}: cannot be read as tensors ({one_line(error)[:200]})"
        ) from error
    for key in ("state_dict", "model"):
        if isinstance(loaded, dict) and isinstance(loaded.get(key), dict):
            loaded = loaded[key]
    if not isinstance(loaded, dict) or not loaded or not all(isinstance(v, torch.Tensor) for v in loaded.values()):
        raise FlawshotError(f"{argument('pretrained', path)}: must contain a state dictionary, tensors by name")
    return {str(name).removeprefix("module."): tensor for name, tensor in loaded.items()}


def _archived(path: Path) -> list[str]:
    """The names in a zip archive, or none if the file is not one; only the archive's directory is read.

    Raises:
        FlawshotError: If the archive is damaged, or declares more than the file can contain.
    """
    try:
        if not zipfile.is_zipfile(path):
            return []
        with zipfile.ZipFile(path) as archive:
            entries = archive.infolist()
    except Exception as error:  # a damaged directory makes zipfile raise anything at all
        raise FlawshotError(
            f"{argument('pretrained', path)}: is a damaged zip archive ({one_line(error)[:200]}); download the weights "
            "again"
        ) from error
    # torch.save does not compress its tensors.
    if sum(entry.file_size for entry in entries) > path.stat().st_size:
        raise FlawshotError(
            f"{argument('pretrained', path)}: is compressed, or declares more than it contains, unlike weights saved "
            "by torch; save them as .safetensors"
        )
    return [entry.filename for entry in entries]


def _usable(path: Path, state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Refuse tensors that do not contain plain numbers, or that declare more numbers than the file contains."""
    size = path.stat().st_size
    for name, tensor in state.items():
        named = f"{argument('pretrained', path)}: {printable(name)[:100]}"
        if tensor.layout != torch.strided or tensor.is_quantized or tensor.device.type != "cpu":
            raise FlawshotError(f"{named}: must be a plain tensor, not sparse, quantized or empty")
        if tensor.numel() * tensor.element_size() > size:
            raise FlawshotError(f"{named}: declares more numbers than the file contains")
        if tensor.is_floating_point() and not bool(torch.isfinite(tensor.float()).all()):
            raise FlawshotError(f"{named}: contains numbers that are not finite")
    return state
