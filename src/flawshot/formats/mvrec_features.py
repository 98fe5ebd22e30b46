"""The features that MVREC's authors released: ``<product>_support.pt`` and ``<product>_query.pt``."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any, TypeGuard

import numpy as np

from flawshot.base.errors import FeatureBankError

if TYPE_CHECKING:
    from pathlib import Path

    import torch
    from numpy.typing import NDArray

__all__ = ["read_mvrec_features"]


def read_mvrec_features(path: Path) -> tuple[NDArray[np.int64], NDArray[np.float16]]:
    """Read one released file to the CPU, without running any code in it.

    Args:
        path: A list of ``{"y": int64 scalar, "mvrec": float16 [views, tokens, dim]}``, saved by torch.

    Returns:
        Category numbers int64 ``[instances]``, and features float16 ``[instances, views, tokens, dim]``.

    Raises:
        FeatureBankError: With the file and the entry, if it contains anything else.
    """
    import torch  # noqa: PLC0415 - takes seconds, and only this format needs it

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch warns about foreign pickles before it refuses them
            entries: Any = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged or hostile file makes torch.load raise anything at all
        # torch's advice in this case, to load without its guard, must not be followed.
        reason = type(error).__name__
        raise FeatureBankError(
            f"{path}: cannot be read as saved tensors ({reason}); is it one of MVREC's files?"
        ) from error
    if not isinstance(entries, list) or not entries:
        raise FeatureBankError(f"{path}: must contain a list of instances, as MVREC's released features do")
    labels: list[int] = []
    features: list[torch.Tensor] = []
    for number, entry in enumerate(entries):
        label, views = (entry.get("y"), entry.get("mvrec")) if isinstance(entry, dict) else (None, None)
        if not _is_plain(label) or label.numel() != 1 or label.dtype not in {torch.int64, torch.int32}:
            raise FeatureBankError(f"{path}: instance {number}: y must be one whole number")
        if not _is_plain(views) or views.dtype != torch.float16 or views.ndim != 3 or not views.numel():
            raise FeatureBankError(f"{path}: instance {number}: mvrec must be float16 [views, tokens, dim]")
        if features and views.shape != features[0].shape:
            raise FeatureBankError(
                f"{path}: instance {number}: mvrec is {list(views.shape)}, but the first is {list(features[0].shape)}"
            )
        labels.append(int(label))
        features.append(views.detach())
    return np.array(labels, dtype=np.int64), torch.stack(features).numpy()


def _is_plain(value: Any) -> TypeGuard[torch.Tensor]:
    """Whether a value is a dense tensor on the CPU that contains as many numbers as it declares."""
    import torch  # noqa: PLC0415 - as above

    return (
        isinstance(value, torch.Tensor)
        and value.layout is torch.strided
        and value.device.type == "cpu"
        and value.untyped_storage().nbytes() >= value.numel() * value.element_size()
    )
