"""Options of all commands that encode: which encoder, which views, and how much at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from flawshot.base.arguments import argument
from flawshot.base.errors import FlawshotError
from flawshot.cli.environment import DEVICE, WORKERS
from flawshot.cli.options import whole_numbers
from flawshot.encoders.options import ACTIVATIONS, LAYERS, MASK_USES, PRECISIONS
from flawshot.regions.views import BORDERS, SCHEMES, Border

if TYPE_CHECKING:
    from flawshot.encoders.base import BaseEncoder
    from flawshot.regions.views import ViewScheme

__all__ = ["BatchGroup", "EncoderGroup", "ModelEncoderGroup", "ModelOption", "ViewGroup"]

# The options that select the encoder, besides its name.
SELECTING = ("pretrained", "region", "layer", "activation", "preprocessing", "patch_tokens", "side")
VIEWS_HELP = f"View scheme: {' '.join(SCHEMES)}."
ModelOption = Annotated[
    str,
    typer.Option(
        "--model",
        metavar="NAME",
        help="flawshot-tiny, a model of open_clip, such as ViT-B-32, or of timm, such as timm/convnextv2_tiny.",
    ),
]
DeviceOption = Annotated[
    str, typer.Option("--device", metavar="NAME", envvar=DEVICE, help="Where to compute: auto, cpu, cuda, ….")
]
CompileOption = Annotated[
    bool,
    typer.Option(
        "--compile",
        help="Compile the encoder with torch.compile first, and use the result if it is faster; worth it for thousands "
        "of crops.",
    ),
]
SizeOption = Annotated[
    str | None,
    typer.Option(
        "--view-size", metavar="S,…", help="Crop sizes: px, such as 256,384,512, or times the box, such as 1x,1.5x,2x."
    ),
]
BorderOption = Annotated[
    Border | None,
    typer.Option(
        "--border",
        help="What a crop shows beyond the image: zeros as in MVREC, its reflection, or nothing, by shifting the crop "
        "inside.",
        show_default=BORDERS[0],
    ),
]


@dataclass(frozen=True)
class EncoderGroup:
    """Which encoder, with which weights, and where it computes."""

    model: ModelOption = "flawshot-tiny"
    pretrained: Annotated[
        str | None,
        typer.Option(
            "--pretrained",
            metavar="TAG|FILE",
            help="One of the model's tags (downloaded once), or a local file; yes: the usual tag of a model of timm. "
            "flawshot-tiny brings its own weights.",
        ),
    ] = None
    region: Annotated[
        str | None,
        typer.Option(
            "--region",
            metavar="|".join(MASK_USES),
            help="How the encoder uses the mask: not at all, by dimming the background, by pooling tokens inside it, "
            "or as an extra channel (AlphaCLIP).",
            show_default="crop; alpha for flawshot-tiny",
        ),
    ] = None
    layer: Annotated[
        str | None,
        typer.Option(
            "--layer",
            metavar="|".join(LAYERS),
            help="CLIP's shared space, or the layer before it.",
            show_default="projection; trunk for flawshot-tiny",
        ),
    ] = None
    patch_tokens: Annotated[
        int,
        typer.Option(
            "--patch-tokens", metavar="N", min=0, help="Also keep the N patch tokens nearest to the first token."
        ),
    ] = 0
    activation: Annotated[
        str | None,
        typer.Option(
            "--activation", metavar="|".join(ACTIVATIONS), help="The activation that a local file's weights need."
        ),
    ] = None
    preprocessing: Annotated[
        str | None,
        typer.Option(
            "--preprocessing",
            metavar="TAG",
            help="For a local file: the tag whose mean, standard deviation and filter it expects, "
            "or clip, imagenet or inception.",
        ),
    ] = None
    side: Annotated[
        int,
        typer.Option(
            "--side", metavar="PX", min=0, help="Side of the encoder's input, for models of timm that take several."
        ),
    ] = 0
    device: DeviceOption = "auto"
    precision: Annotated[
        str,
        typer.Option(
            "--precision",
            metavar="|".join(("auto", *PRECISIONS)),
            help="Precision of the arithmetic; auto: float16 on a GPU (bfloat16 for timm), float32 elsewhere.",
        ),
    ] = "auto"

    compile: CompileOption = False

    def make(self, batch_size: int) -> BaseEncoder:
        """The encoder, compiled for batches of a size if wanted; what the user should know is printed."""
        from flawshot.encoders import make_encoder

        made = make_encoder(
            self.model,
            self.pretrained,
            region=self.region,
            layer=self.layer,
            patch_tokens=self.patch_tokens,
            activation=self.activation,
            preprocessing=self.preprocessing,
            side=self.side,
            device=self.device,
            precision=self.precision,
        )
        _introduce(made, batch_size, compiled=self.compile)
        return made

    def given(self) -> dict[str, object]:
        """The options that select the encoder and were given."""
        named = {name: getattr(self, name) for name in SELECTING}
        return {name: value for name, value in named.items() if value}


@dataclass(frozen=True)
class ModelEncoderGroup:
    """How a model's own encoder is loaded."""

    pretrained: Annotated[
        str | None,
        typer.Option("--pretrained", metavar="FILE", help="The encoder's weights, if they came from a file."),
    ] = None
    device: DeviceOption = "auto"
    compile: CompileOption = False

    def introduce(self, encoder: BaseEncoder, batch_size: int) -> None:
        """Compile the encoder for batches of a size if wanted; what the user should know is printed."""
        _introduce(encoder, batch_size, compiled=self.compile)


def _introduce(encoder: BaseEncoder, batch_size: int, *, compiled: bool) -> None:
    """Print an encoder's remarks on standard error, and compile it if wanted."""
    from flawshot.cli.console import say

    for remark in encoder.remarks:
        say(remark)
    if compiled:
        from flawshot.bank.encoding import crops_per_call

        say(f"compiling {encoder.record.name}, which can take minutes")
        say(encoder.compile(crops_per_call(encoder.device, batch_size)))


@dataclass(frozen=True)
class ViewGroup:
    """Which views; by default those that suit the encoder."""

    views: Annotated[
        str | None,
        typer.Option(
            "--views",
            metavar="NAME",
            help=VIEWS_HELP,
            show_default="mso; for flawshot-tiny centre3 of 1.5x,2x,3x",
        ),
    ] = None
    view_size: SizeOption = None
    border: BorderOption = None

    def scheme(self, model: str) -> ViewScheme:
        """The view scheme for a model's name."""
        from flawshot.bank.default_encoding import scheme_for

        sizes = None if self.view_size is None else self.view_size.split(",")
        return scheme_for(model, self.views, sizes, self.border)

    def given(self) -> dict[str, object]:
        """The options that were given."""
        named = {"views": self.views, "sizes": self.view_size, "border": self.border}
        return {name: value for name, value in named.items() if value}


def _scheme(views: str, view_size: str | None, border: Border | None) -> ViewScheme:
    from flawshot.regions.views import make_scheme

    return make_scheme(views, None if view_size is None else view_size.split(","), border)


@dataclass(frozen=True)
class BatchGroup:
    """How much is processed at once."""

    batch_size: Annotated[str, typer.Option("--batch-size", metavar="N|auto", help="Crops per batch.")] = "auto"
    workers: Annotated[
        int,
        typer.Option(
            "--workers", metavar="N", min=0, envvar=WORKERS, help="Threads that decode and crop; 0: one per core."
        ),
    ] = 0

    @property
    def size(self) -> int:
        """Crops per batch; 0 for auto."""
        if self.batch_size == "auto":
            return 0
        try:
            (size,) = whole_numbers(self.batch_size, "batch_size")
        except ValueError:
            raise FlawshotError(f"{argument('batch_size', self.batch_size)}: must be a number, or auto") from None
        return size
