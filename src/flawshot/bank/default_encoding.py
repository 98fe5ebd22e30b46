"""A data set's feature bank in one call, with the views that suit the encoder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from flawshot.bank.builder import encode_catalog
from flawshot.catalog import Catalog
from flawshot.encoders import encoder_of, make_encoder
from flawshot.encoders.options import EncoderOptions
from flawshot.regions.views import SCHEMES, make_scheme

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from flawshot.bank.features import FeatureBank
    from flawshot.regions.views import Border, ViewScheme

__all__ = ["encode", "scheme_for"]


def encode(
    data: Catalog | str | Path,
    out: str | Path,
    *,
    model: str = "flawshot-tiny",
    pretrained: str | None = None,
    device: str = "auto",
    overwrite: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> FeatureBank:
    """Encode a data set with the views that suit the encoder, as ``flawshot encode DATA --out BANK`` does.

    An interrupted call resumes where it stopped, and only new or changed instances are encoded. For everything else,
    such as other views, see :func:`flawshot.encode_catalog`.

    Args:
        data: The catalog, or what :meth:`flawshot.Catalog.open` opens; its images must be available.
        out: The bank's folder.
        model: The encoder, as for :func:`flawshot.make_encoder`.
        pretrained: Its weights, likewise; flawshot-tiny has its own.
        device: ``auto``, ``cpu``, ``cuda``, ….
        overwrite: Whether a bank of another encoder, or a damaged one, may be replaced.
        progress: Called with the number of crops done and the total.

    Returns:
        The bank; images that could not be used are in ``manifest.left_out``.

    Raises:
        FlawshotError: As :func:`flawshot.encode_catalog` does.
    """
    catalog = Catalog.open(data) if isinstance(data, str | Path) else data
    encoder = make_encoder(model, pretrained, device=device)
    return encode_catalog(catalog, encoder, scheme_for(model), out, overwrite=overwrite, progress=progress).bank


def scheme_for(
    model: str, views: str | None = None, sizes: Sequence[str] | None = None, border: Border | None = None
) -> ViewScheme:
    """The views that suit a model, or others.

    Args:
        model: The encoder's model.
        views: A view scheme's name; if None, the one that suits the model.
        sizes: As for :func:`flawshot.make_scheme`; if None, those that suit the model, or a package's own scheme's.
        border: As for :func:`flawshot.make_scheme`.

    Raises:
        FlawshotError: If there is no such model or scheme.
    """
    usual, usual_sizes = encoder_of(EncoderOptions(model)).views
    name = views or usual
    # The sizes that suit the encoder are for schemes that leave them open; a package's scheme has its own.
    return make_scheme(name, sizes or (usual_sizes if name in SCHEMES else None), border)
