"""A feature bank made of the features that MVREC's authors released."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from flawshot.bank.features import FeatureBank, write_bank
from flawshot.bank.records import ViewRecord
from flawshot.base.arguments import argument
from flawshot.base.errors import FeatureBankError
from flawshot.base.records import DESCRIBED, ELSEWHERE, EncoderRecord
from flawshot.base.wording import counted
from flawshot.catalog import Catalog
from flawshot.formats.mvrec_features import read_mvrec_features
from flawshot.regions.views import make_scheme

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["import_mvrec_features"]

# The split that each released file belongs to.
PARTS = {"support": "train", "query": "test"}
ALPHA_CLIP = "AlphaCLIP ViT-L/14"
RELEASED = "as released; MVREC's support features were computed with an unseeded colour jitter"


def import_mvrec_features(
    source: str | Path,
    out: str | Path,
    catalog: Catalog,
    *,
    encoder: str = ALPHA_CLIP,
    views: str = "mso",
    overwrite: bool = False,
) -> FeatureBank:
    """Make a bank of released features, matched row by row with the annotations they were computed from.

    Args:
        source: A folder with ``<product>_support.pt`` and ``<product>_query.pt`` for one or more products.
        out: The bank's folder.
        catalog: The annotations. A product's train rows, in order, correspond to its support file, and its test rows
            to its query file. Products without files are omitted.
        encoder: The encoder that computed the features.
        views: The view scheme that was used, with its own sizes.
        overwrite: Whether an existing bank may be replaced.

    Raises:
        FeatureBankError: If a file is missing or damaged, its labels differ from those of the catalog's rows, or it
            does not have as many views as the scheme. (Rows of the same label in a different order go unnoticed.)
    """
    source = Path(source)
    products = [product for product in catalog.products if _file(source, product, "support").is_file()]
    if not products:
        raise FeatureBankError(
            f"{source}: contains no <product>_support.pt for the annotations' products ({', '.join(catalog.products)})"
        )
    tables, blocks = [], []
    for product in products:
        own = catalog.select([product])
        categories = sorted(set(own.column("category")))
        for part, split in PARTS.items():
            rows = Catalog(own.table.filter(pa.array([value == split for value in own.column("split")])))
            tables.append(rows.table)
            blocks.append(_checked(_file(source, product, part), rows, categories, split))
    shapes = {block.shape[1:] for block in blocks}
    if len(shapes) > 1:
        raise FeatureBankError(f"{source}: its files have different [views, tokens, dim]: {sorted(shapes)}")
    count, tokens, _ = shapes.pop()
    scheme = make_scheme(views)
    if count != len(scheme.views):
        raise FeatureBankError(
            f"{source}: has {counted(count, 'view')} per instance, but {views} has {len(scheme.views)}; "
            f"name its {argument('views')}"
        )
    record = EncoderRecord(
        family=ELSEWHERE,
        name=encoder,
        weights="clip_l14_grit20m_fultune_2xe.pth" if encoder == ALPHA_CLIP else "unknown",
        weights_hash=None,
        options={DESCRIBED: RELEASED},
        precision="float16",
        tokens=("cls", *(f"patch-{number}" for number in range(1, tokens))),
    )
    cropped = ViewRecord.of(scheme)
    merged = Catalog(pa.concat_tables(tables), catalog.root, images=catalog.images)
    return write_bank(out, merged, np.concatenate(blocks), record, cropped, libraries={}, overwrite=overwrite)


def _file(source: Path, product: str, part: str) -> Path:
    return source / f"{product}_{part}.pt"


def _checked(path: Path, rows: Catalog, categories: list[str], split: str) -> NDArray[np.float16]:
    if not path.is_file():
        raise FeatureBankError(f"{path}: is missing; a product has both its support and its query file")
    labels, features = read_mvrec_features(path)
    if len(labels) != len(rows):
        raise FeatureBankError(
            f"{path}: has {counted(len(labels), 'instance')}, but the annotations have "
            f"{counted(len(rows), f'{split} row')}"
        )
    for number, (label, category, identifier) in enumerate(
        zip(labels, rows.column("category"), rows.column("id"), strict=True)
    ):
        named = categories[label] if 0 <= label < len(categories) else f"number {label}"
        if named != category:
            raise FeatureBankError(
                f"{path}: instance {number}: y is category {named}, but row {identifier} is labeled {category}"
            )
    return features
