"""An encoder again, as the record of a feature bank or a model names it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Literal, cast

from flawshot.base.errors import FlawshotError

if TYPE_CHECKING:
    from flawshot.base.records import EncoderRecord
    from flawshot.encoders.open_clip import Layer, OpenClipEncoder, Region

__all__ = ["recorded_encoder"]

PREPROCESSING = re.compile(r", region ([\w-]+), layer (\w+), (quickgelu|gelu)$")


def recorded_encoder(
    record: EncoderRecord,
    place: str,
    *,
    pretrained: str | None = None,
    device: str = "auto",
    precision: str = "auto",
) -> OpenClipEncoder:
    """Make the encoder that a record is of, and prove that it has the same weights and sees the same input.

    Args:
        record: Who computed features.
        place: What errors name: the file that holds the record.
        pretrained: The weights' file where they came from one; the record says its name only.
        device: ``auto``, ``cpu``, ``cuda``, ….
        precision: Of the arithmetic; it may differ from the record's, for another device has another one.

    Raises:
        FlawshotError: If the record is of no encoder of ours, the weights are not at hand, or they are others.
    """
    family, _, model = record.name.partition(" ")
    match = PREPROCESSING.search(record.preprocessing)
    if record.weights_hash is None or match is None:
        raise FlawshotError(
            f"{place}: encoder: {record.name!r} made its features elsewhere, with weights that are not known here; "
            "encode images with flawshot encode and fit again"
        )
    region, layer = cast("Region", match[1]), cast("Layer", match[2])
    # A tower without either, as a ResNet's, is recorded as gelu; its model's own is then right, as it is elsewhere.
    activation: Literal["quickgelu"] | None = "quickgelu" if match[3] == "quickgelu" else None
    tokens = len(record.tokens) - 1
    made: OpenClipEncoder
    if record.name == "flawshot-tiny":
        if pretrained is not None:
            raise FlawshotError(f"--pretrained {pretrained}: flawshot-tiny brings its own weights; leave it away")
        from flawshot.encoders.flawshot_tiny import TinyEncoder  # noqa: PLC0415 - with torch, when it is needed

        made = TinyEncoder(
            region="crop" if region == "crop" else "alpha", layer=layer, device=device, precision=precision
        )
    elif family == "AlphaCLIP" and model:
        from flawshot.encoders.alpha_clip import AlphaClipEncoder  # noqa: PLC0415

        weights = _file(record, place, pretrained)
        made = AlphaClipEncoder(model, weights, layer=layer, patch_tokens=tokens, device=device, precision=precision)
    elif family == "open_clip" and model:
        made = _open_clip(record, place, model, pretrained, layer, region, activation, tokens, device, precision)
    else:
        raise FlawshotError(f"{place}: encoder.name: {record.name!r} is none that is known here; update flawshot")
    for field in ("weights_hash", "preprocessing", "tokens"):
        ours, theirs = getattr(made.record, field), getattr(record, field)
        if ours != theirs:
            raise FlawshotError(
                f"{place}: encoder.{field}: is {_shown(theirs)}, but the {record.name} at hand has {_shown(ours)}; "
                "give the weights that the features were made with, or fit again"
            )
    return made


def _open_clip(  # noqa: PLR0917
    record: EncoderRecord,
    place: str,
    model: str,
    pretrained: str | None,
    layer: Layer,
    region: Region,
    activation: Literal["quickgelu"] | None,
    tokens: int,
    device: str,
    precision: str,
) -> OpenClipEncoder:
    import open_clip  # noqa: PLC0415 - with torch, when it is needed

    from flawshot.encoders.open_clip import OpenClipEncoder  # noqa: PLC0415

    by_tag = bool(open_clip.get_pretrained_cfg(model, pretrained or record.weights))
    weights = pretrained or (record.weights if by_tag else _file(record, place, None))
    return OpenClipEncoder(
        model,
        weights,
        layer=layer,
        region=region,
        patch_tokens=tokens,
        activation=None if by_tag else activation,
        device=device,
        precision=precision,
    )


def _file(record: EncoderRecord, place: str, pretrained: str | None) -> str:
    if pretrained is None:
        raise FlawshotError(
            f"{place}: encoder.weights: were the file {record.weights}; say where it is by --pretrained FILE"
        )
    return pretrained


def _shown(value: object) -> str:
    text = str(value)
    return f"{text[:12]}…" if re.fullmatch(r"[0-9a-f]{64}", text) else repr(value)
