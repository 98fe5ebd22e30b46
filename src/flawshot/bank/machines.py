"""Where blocks of rows are encoded: on this machine, or on others with the same results."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from flawshot.bank.encoding import crops_per_call, encode_blocks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from flawshot.bank.blocks import Encoded
    from flawshot.catalog import Catalog
    from flawshot.encoders.base import Encoder
    from flawshot.regions.views import ViewScheme

__all__ = ["Machines", "ThisMachine"]


class Machines(Protocol):
    """What encodes blocks of rows."""

    def crops_per_call(self, encoder: Encoder, batch_size: int) -> int:
        """How many crops an encoder is given at a time; the number is settled before anything is encoded.

        Args:
            encoder: The encoder.
            batch_size: The number that the user named, or 0.
        """
        ...

    def encode_blocks(
        self,
        catalog: Catalog,
        blocks: Sequence[Sequence[int]],
        encoder: Encoder,
        scheme: ViewScheme,
        *,
        batch_size: int,
        workers: int = 0,
        progress: Callable[[int, int], None] | None = None,
    ) -> Iterator[Encoded]:
        """Encode blocks, as :func:`flawshot.bank.encoding.encode_blocks` does, and with the same results."""
        ...


class ThisMachine:
    """The threads of this process, and the encoder's device."""

    def crops_per_call(self, encoder: Encoder, batch_size: int) -> int:
        """See :meth:`Machines.crops_per_call`."""
        return crops_per_call(encoder.device, batch_size)

    def encode_blocks(
        self,
        catalog: Catalog,
        blocks: Sequence[Sequence[int]],
        encoder: Encoder,
        scheme: ViewScheme,
        *,
        batch_size: int,
        workers: int = 0,
        progress: Callable[[int, int], None] | None = None,
    ) -> Iterator[Encoded]:
        """See :meth:`Machines.encode_blocks`."""
        return encode_blocks(
            catalog, blocks, encoder, scheme, batch_size=batch_size, workers=workers, progress=progress
        )
