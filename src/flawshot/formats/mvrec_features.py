"""The features that MVREC's authors released: ``<product>_support.pt`` and ``<product>_query.pt``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from flawshot.errors import FeatureBankError
from flawshot.files import one_line

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

__all__ = ["read_mvrec_features"]


def read_mvrec_features(path: Path) -> tuple[NDArray[np.int64], NDArray[np.float16]]:
    """Read one released file, onto the CPU, as data only.

    Args:
        path: A list of ``{"y": int64 scalar, "mvrec": float16 [views, tokens, dim]}``, saved by torch.

    Returns:
        Category numbers int64 ``[instances]``, and features float16 ``[instances, views, tokens, dim]``.

    Raises:
        FeatureBankError: With the file and the entry, if it holds anything else.
    """
    import torch  # noqa: PLC0415 - takes seconds, and only this format needs it

    try:
        entries: Any = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged or hostile file makes torch.load raise anything at all
        raise FeatureBankError(f"{path}: cannot be read as saved tensors ({one_line(error)[:200]})") from error
    if not isinstance(entries, list) or not entries:
        raise FeatureBankError(f"{path}: must hold a list of instances, as MVREC's released features do")
    labels: list[int] = []
    features: list[torch.Tensor] = []
    for number, entry in enumerate(entries):
        label, views = (entry.get("y"), entry.get("mvrec")) if isinstance(entry, dict) else (None, None)
        if not isinstance(label, torch.Tensor) or label.numel() != 1 or label.is_floating_point():
            raise FeatureBankError(f"{path}: instance {number}: y must be one whole number")
        if not isinstance(views, torch.Tensor) or views.dtype != torch.float16 or views.ndim != 3:
            raise FeatureBankError(f"{path}: instance {number}: mvrec must be float16 [views, tokens, dim]")
        if features and views.shape != features[0].shape:
            raise FeatureBankError(
                f"{path}: instance {number}: mvrec is {list(views.shape)}, not {list(features[0].shape)} as the first"
            )
        labels.append(int(label))
        features.append(views)
    return np.array(labels, dtype=np.int64), torch.stack(features).numpy()
