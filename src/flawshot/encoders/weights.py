"""Weights files, read as tensors and nothing else."""

from __future__ import annotations

import zipfile
from typing import TYPE_CHECKING

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from flawshot.errors import FlawshotError
from flawshot.files import one_line

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["read_weights"]


def read_weights(path: Path) -> dict[str, torch.Tensor]:
    """Read a state dictionary onto the CPU.

    Args:
        path: ``.safetensors``, or a file saved by ``torch.save`` that holds tensors only, bare or under
            ``state_dict`` or ``model``; a leading ``module.`` of the names is dropped.

    Raises:
        FlawshotError: With one line, if it holds anything else; a TorchScript archive, such as OpenAI's original
            files, is refused, for loading it runs its code.
    """
    if not path.is_file():
        raise FlawshotError(f"--pretrained {path}: there is no such file")
    if path.suffix == ".safetensors":
        try:
            return load_file(path, device="cpu")
        except (OSError, SafetensorError) as error:
            raise FlawshotError(f"--pretrained {path}: is not a whole safetensors file ({one_line(error)})") from error
    if _is_torchscript(path):
        raise FlawshotError(
            f"--pretrained {path}: is a TorchScript archive, which holds code; give its weights as .safetensors, "
            "or the open_clip tag 'openai' of a -quickgelu model"
        )
    try:
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged or hostile file makes torch.load raise anything at all
        raise FlawshotError(f"--pretrained {path}: cannot be read as tensors ({one_line(error)[:200]})") from error
    for key in ("state_dict", "model"):
        if isinstance(loaded, dict) and isinstance(loaded.get(key), dict):
            loaded = loaded[key]
    if not isinstance(loaded, dict) or not loaded or not all(isinstance(v, torch.Tensor) for v in loaded.values()):
        raise FlawshotError(f"--pretrained {path}: must hold a state dictionary, tensors by name")
    return {str(name).removeprefix("module."): tensor for name, tensor in loaded.items()}


def _is_torchscript(path: Path) -> bool:
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any(name.endswith("/constants.pkl") or "/code/" in name for name in archive.namelist())
