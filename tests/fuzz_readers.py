"""Every reader of files that anyone may have written, with valid files to begin with, made on the spot."""

from __future__ import annotations

import io
import json
import shutil
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image

import flawshot
from brush_encoder import encode
from flawshot.encoders.weights import read_weights
from flawshot.formats.anomaly_maps import AnomalyMaps
from flawshot.formats.found_boxes import FoundBoxes
from flawshot.inspect.query import Condition, query_rows
from flawshot.labelme.images import read_image
from flawshot.labelme.labelme_file import parse_labelme
from flawshot.models.corrections import read_corrections
from flawshot.models.model_folder import read_model
from flawshot.models.review_folder import STATE, ReviewFolder, listed, review_place
from flawshot.synthetic.demo_folder import DemoFolder
from helpers import box_shape, labelme_document

if TYPE_CHECKING:
    from collections.abc import Callable

SIDE = 48


@dataclass(frozen=True)
class Reader:
    """One way to read files.

    Attributes:
        make: Makes valid files in an empty folder.
        read: Reads them, given the folder and another that is empty for what it writes; may return problems.
        files: Patterns of the files that are damaged, one at a time.
    """

    make: Callable[[Path], object]
    read: Callable[[Path, Path], object]
    files: tuple[str, ...]


def picture(seed=0, mode="RGB", side=SIDE):
    shape = (side, side) if mode in {"L", "P"} else (side, side, 3)
    return Image.fromarray(np.random.default_rng(seed).integers(0, 255, shape, dtype=np.uint8)).convert(mode)


def png(seed=0):
    stream = io.BytesIO()
    picture(seed).save(stream, "PNG")
    return stream.getvalue()


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())


def mask_shape(label="dent"):
    stream = io.BytesIO()
    Image.fromarray(np.eye(8, dtype=np.uint8) * 255).convert("1").save(stream, "PNG")
    encoded = _base64(stream.getvalue())
    return box_shape(label) | {"shape_type": "mask", "points": [[3, 3], [10, 10]], "mask": encoded}


def _base64(data):
    import base64

    return base64.b64encode(data).decode()


def labelme_shapes():
    return [
        box_shape("scratch", group_id=1),
        box_shape("scratch", at=(20, 20), group_id=1, flags={"difficult": True}),
        box_shape("dent") | {"shape_type": "rectangle", "points": [[1, 1], [9, 9]]},
        box_shape("dent") | {"shape_type": "circle", "points": [[20, 20], [24, 20]]},
        box_shape("dent") | {"shape_type": "linestrip", "points": [[1, 1], [9, 9], [20, 1]]},
        box_shape("dent") | {"shape_type": "oriented_rectangle", "points": [[1, 1], [9, 1], [9, 5], [1, 5]]},
        box_shape("dent") | {"shape_type": "points", "points": [[1, 1], [9, 1]]},
        mask_shape(),
    ]


def make_labelme(folder, images=4):
    for number in range(images):
        size = {"imageHeight": SIDE, "imageWidth": SIDE, "imagePath": f"{number}.png"}
        shapes = labelme_shapes() if number % 2 else [box_shape("scratch"), box_shape("dent", at=(20, 8))]
        embedded = {"imageData": _base64(png(number))} if number == 3 else {}
        document = labelme_document(shapes, **size, **embedded)
        write(folder / f"bolt/{('train', 'test')[number % 2]}/{number}.json", json.dumps(document))
        if number != 3:
            write(folder / f"bolt/{('train', 'test')[number % 2]}/{number}.png", png(number))


def read_labelme(folder, out):
    catalog = flawshot.Catalog.from_folder(folder)
    list(catalog)
    found = flawshot.check_data(catalog) if len(catalog) else []
    return [*catalog.problems, *found]


def make_coco(folder):
    runs = {"size": [SIDE, SIDE], "counts": [100, 9, SIDE * SIDE - 109]}
    annotations = [
        {"id": 1, "image_id": 1, "category_id": 1, "segmentation": [[1, 1, 9, 1, 9, 9]], "bbox": [1, 1, 8, 8]},
        {"id": 2, "image_id": 1, "category_id": 2, "bbox": [4, 4, 8, 8], "attributes": {"occluded": True}},
        {"id": 3, "image_id": 2, "category_id": 1, "iscrowd": 1, "segmentation": runs},
        {"id": 4, "image_id": 2, "category_id": 2, "segmentation": runs | {"counts": "T3d0\\Q1"}},
    ]  # fmt: skip
    images = [{"id": number, "file_name": f"{number}.png", "height": SIDE, "width": SIDE} for number in (1, 2)]
    categories = [{"id": 1, "name": "scratch"}, {"id": 2, "name": "dent", "supercategory": "x"}]
    write(
        folder / "bolt_train.json", json.dumps({"images": images, "annotations": annotations, "categories": categories})
    )
    for number in (1, 2):
        write(folder / f"images/{number}.png", png(number))


VOC = """<?xml version="1.0"?><annotation><folder>x</folder><filename>1.png</filename>
<size><width>48</width><height>48</height><depth>3</depth></size>
<object><name>scratch</name><difficult>1</difficult><bndbox><xmin>2</xmin><ymin>3</ymin><xmax>9</xmax><ymax>8.5</ymax></bndbox></object>
<object><name>dent</name><bndbox><xmin>20</xmin><ymin>20</ymin><xmax>29</xmax><ymax>28</ymax></bndbox></object></annotation>"""


def make_voc(folder):
    write(folder / "Annotations/1.xml", VOC)
    write(folder / "ImageSets/Main/train.txt", "1\n")
    write(folder / "JPEGImages/1.png", png())


def make_yolo(folder):
    sheet = "path: .\ntrain: images/train\nval: val.txt\nnc: 2\nnames: {0: scratch, 1: dent}\nkpt_shape: [2, 2]\n"
    write(folder / "data.yaml", sheet)
    write(folder / "val.txt", "./images/2.png\n")
    write(folder / "labels/train/1.txt", "0 0.5 0.5 0.25 0.25\n1 0.1 0.1 0.5 0.1 0.5 0.6 0.2 0.7\n")
    write(folder / "labels/2.txt", "1 0.9 0.5 0.4 0.25 0.75\n0 0.5 0.5 0.2 0.2 0.1 0.1 0.2 0.2\n")
    for place in ("train/1", "2", "3"):
        write(folder / f"images/{place}.png", png())


def make_tables(folder):
    head = "filename,width,height,class,xmin,ymin,xmax,ymax,score,split\n"
    boxes = f"{head}1.png,48,48,dent,1,2,9,9,0.5,val\n2.png,,,,,,,,,\n"
    via = '1.png,9,"{}",1,0,"{""name"":""circle"",""cx"":9,""cy"":9,""r"":4}","{""defect"":""dent""}"\n'
    write(folder / "boxes.csv", boxes)
    write(folder / "one.csv", 'image;bbox;label\n1.png;"[1, 2, 8, 8]";dent\n')
    write(
        folder / "via.csv",
        "filename,file_size,file_attributes,region_count,region_id,region_shape_attributes,region_attributes\n" + via,
    )
    write(folder / "1.png", png())


def make_runs(folder):
    write(folder / "train.csv", "ImageId,ClassId,EncodedPixels\n1.png,1,1 3 49 3 100 2\n1.png,2,400 5\n2.png,,\n")
    write(folder / "old.csv", "ImageId_ClassId,EncodedPixels\n2.png_1,1 3\n2.png_2,\n")
    for number in (1, 2):
        write(folder / f"{number}.png", png())


def make_via(folder):
    shapes = [
        {"name": "rect", "x": 3, "y": 4, "width": 5, "height": 6},
        {"name": "circle", "cx": 20, "cy": 15, "r": 5},
        {"name": "ellipse", "cx": 20, "cy": 15, "rx": 8, "ry": 4, "theta": 0.5},
        {"name": "polygon", "all_points_x": [1, 9, 9], "all_points_y": [1, 1, 8]},
        {"name": "polyline", "all_points_x": [1, 9], "all_points_y": [1, 8]},
        {"name": "point", "cx": 5, "cy": 6},
    ]
    told = {"defect": "1", "sure": True, "kinds": {"a": True}}
    regions = [{"shape_attributes": shape, "region_attributes": told} for shape in shapes]
    images = {"1.png9": {"filename": "1.png", "size": 9, "regions": regions, "file_attributes": {}}}
    attributes = {"region": {"defect": {"type": "dropdown", "options": {"1": "dent"}}}}
    write(folder / "project.json", json.dumps({"_via_img_metadata": images, "_via_attributes": attributes}))
    write(folder / "1.png", png())


CVAT = """<?xml version="1.0" encoding="utf-8"?><annotations><version>1.1</version>
<image id="0" name="1.png" width="48" height="48" subset="Train"><tag label="bad"/>
<box label="dent" occluded="1" xtl="3" ytl="4" xbr="9" ybr="10.5" rotation="30" group_id="2">
<attribute name="deep">true</attribute></box>
<polygon label="dent" points="1,1;9,1;9,8" group_id="2"/><polyline label="crack" points="1,1;9.5,1"/>
<ellipse label="hole" cx="20" cy="15" rx="10" ry="5"/>
<mask label="m" rle="1, 2, 1, 2" left="30" top="20" width="3" height="2"/>
</image></annotations>"""


def make_cvat(folder):
    write(folder / "annotations.xml", CVAT)
    write(folder / "images/1.png", png())


def make_label_studio(folder):
    values = [
        {"x": 10, "y": 10, "width": 25, "height": 20, "rotation": 30, "rectanglelabels": ["dent"]},
        {"points": [[10, 10], [50, 10], [50, 60]], "polygonlabels": ["dent"]},
        {"x": 50, "y": 50, "radiusX": 20, "radiusY": 20, "ellipselabels": ["hole"]},
        {"format": "rle", "rle": encode(np.eye(SIDE, dtype=bool)), "brushlabels": ["crack"]},
    ]
    results = [
        {"id": str(n), "type": "x", "original_width": SIDE, "original_height": SIDE, "value": value}
        for n, value in enumerate(values)
    ]
    annotations = [
        {"id": 1, "updated_at": "2024-01-01", "result": []},
        {"id": 2, "ground_truth": True, "result": results},
    ]
    image = "/data/upload/1/0a1b2c3d-1.png"
    write(folder / "export.json", json.dumps([{"id": 1, "data": {"image": image}, "annotations": annotations}]))
    least = values[0] | {"original_width": SIDE, "original_height": SIDE}
    write(folder / "min.json", json.dumps([{"id": 1, "image": "2.png", "label": [least], "annotator": 1}]))
    write(folder / "1.png", png())


def make_deep_pcb(folder):
    write(folder / "trainval.txt", "group1/0001/0001000.jpg group1/0001_not/0001000.txt\n")
    write(folder / "group1/0001_not/0001000.txt", "1 2 9 9 1\n3,4,12,13,6\n")
    for kind in ("test", "temp"):
        write(folder / f"group1/0001/0001000_{kind}.jpg", png())


def make_detailed(folder):
    record = {
        "class": "bolt", "anomaly": "scratch", "image": "1.png", "num_anomalies": 1, "size_anomalies": 9,
        "coordinates": [{"min_row": 1, "min_col": 2, "max_row": 9, "max_col": 12}], "description": "1 scratch.",
    }  # fmt: skip
    records = [record, record | {"image": "2.png"}, record | {"image": "3.png", "coordinates": []}]
    write(
        folder / "detailed_annotations.json",
        json.dumps({"bolt": records, "nut": [record | {"class": "nut"}]}, indent=1),
    )
    write(folder / "bolt/scratch/1.png", png())


def make_mvtec_fs(folder):
    head = "fname,a,imageHeight,imageWidth,b,label,c,img_rel_path,points\n"
    for name, split in (("train", "training"), ("valid", "testing")):
        row = f'0.png,,48,48.0,1,scratch,1,{split}/good/0.png,"[[1, 1], [9.5, 1], [9, 9]]"\n'
        write(folder / f"CONFIG/bolt_config1/{name}.csv", head + row + row.replace("scratch", "dent"))
        write(folder / f"image/bolt/{split}/good/0.png", png())


def make_visa(folder):
    rows = "object,split,label,image,mask\n"
    for number in range(2):
        write(folder / f"bolt/Data/Images/Anomaly/{number}.JPG", png(number))
        mask = Image.new("L", (SIDE, SIDE))
        mask.paste(3, (5, 5, 12, 12))
        write(folder / f"bolt/Data/Masks/Anomaly/{number}.png", _bytes(mask, "PNG"))
        rows += f"bolt,test,scratch,bolt/Data/Images/Anomaly/{number}.JPG,bolt/Data/Masks/Anomaly/{number}.png\n"
        rows += f"bolt,train,normal,bolt/Data/Images/Normal/{number}.JPG,\n"
        write(folder / f"bolt/Data/Images/Normal/{number}.JPG", png(number))
    write(
        folder / "bolt/image_anno.csv",
        rows.replace("object,split,", "").replace("bolt,test,", "").replace("bolt,train,", ""),
    )


def _bytes(image, kind, **options):
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def make_masks(folder):
    for number, (suffix, kind) in enumerate({"png": "PNG", "bmp": "BMP", "tif": "TIFF"}.items()):
        mask = Image.new("L", (SIDE, SIDE))
        mask.paste(255, (5, 5, 12, 12))
        mask.paste(255, (20, 20, 32, 25))
        write(folder / f"images/scratch/{number}.png", png(number))
        write(folder / f"masks/scratch/{number}.{suffix}", _bytes(mask, kind))


def make_found(folder):
    """An image, and what other programs found on it."""
    write(folder / "images/a.png", png(1))
    box = {"image_id": "a", "bbox": [2, 3, 9, 8], "score": 0.5}
    polygon = {"image_id": "a", "segmentation": [[2, 3, 12, 3, 12, 9]], "score": 0.25}
    runs = {"image_id": "a", "segmentation": {"size": [SIDE, SIDE], "counts": [9, 30, SIDE * SIDE - 39]}}
    write(folder / "boxes.json", json.dumps([box, polygon, runs]).encode())
    write(folder / "boxes.csv", b"image,x0,y0,x1,y1,score\na.png,2,3,12,9,0.5\n")
    write(folder / "labels/a.txt", b"0 0.5 0.5 0.25 0.25 0.9\n1 0.1 0.1 0.5 0.1 0.5 0.5\n")
    values = np.arange(SIDE * SIDE, dtype=np.float32).reshape(SIDE, SIDE) % 97
    stored = io.BytesIO()
    np.save(stored, values)
    write(folder / "arrays/a.npy", stored.getvalue())
    write(folder / "tiffs/a.tiff", _bytes(Image.fromarray(values), "TIFF"))


def boxes(name):
    def read(folder, out):
        reader = FoundBoxes(folder / "images", folder / name)
        reader.read("a.png")
        return reader.problems

    return read


def maps(name):
    def read(folder, out):
        reader = AnomalyMaps(folder / "images", str(folder / name), threshold=90)
        reader.read("a.png")
        return reader.problems

    return read


def read_problems(made):
    written = getattr(made, "written", made)
    return getattr(written, "problems", ())


def small_catalog(images=12):
    annotations = []
    for number in range(images):
        shapes = [box_shape("scratch"), box_shape("dent", at=(20, 8))]
        document = labelme_document(shapes, imagePath=f"{number}.png", imageHeight=SIDE, imageWidth=SIDE)
        split = ("train", "test")[number % 2]
        annotations.append((f"bolt/{split}/{number}.json", parse_labelme(json.dumps(document).encode(), "a")[0]))
    return flawshot.Catalog.from_annotations(annotations, layout="{product}/{split}/**")


class FlatEncoder:
    """Four numbers of a crop: an encoder that takes no time."""

    side, dim, device = 8, 4, torch.device("cpu")
    record = flawshot.EncoderRecord(
        family="flat", name="flat", weights="none", weights_hash=None, precision="float32", tokens=("cls",)
    )

    def encode(self, images, _masks):
        return images.float().reshape(len(images), -1)[:, : self.dim].unsqueeze(1) / 255


def small_bank(folder):
    make_labelme(folder / "data")
    scheme = flawshot.make_scheme("centre3")
    return flawshot.encode_catalog(flawshot.Catalog.open(folder / "data"), FlatEncoder(), scheme, folder / "bank").bank


def read_bank(folder, out):
    bank = flawshot.FeatureBank.open(folder / "bank", verify=False)
    bank.rows(range(len(bank.catalog)))
    flawshot.FeatureBank.open(folder / "bank")


def encode_again(folder, out):
    scheme = flawshot.make_scheme("centre3")
    flawshot.encode_catalog(flawshot.Catalog.open(folder / "data"), FlatEncoder(), scheme, folder / "bank")


def make_unfinished(folder):
    """An encoding that was interrupted after some images."""
    make_labelme(folder / "data")

    class StoppedError(Exception):
        pass

    class Stopping(FlatEncoder):
        calls = 0

        def encode(self, images, masks):
            Stopping.calls += 1
            if Stopping.calls > 3:
                raise StoppedError
            return super().encode(images, masks)

    scheme = flawshot.make_scheme("centre3")
    try:
        catalog = flawshot.Catalog.open(folder / "data")
        flawshot.encode_catalog(catalog, Stopping(), scheme, folder / "bank", batch_size=1, workers=1)
    except StoppedError:
        pass


def made_up_bank(folder, catalog):
    rng = np.random.default_rng(0)
    means = {label: rng.normal(size=(3, 6)) for label in sorted(set(catalog.column("category")))}
    features = np.stack([means[label] + rng.normal(size=(3, 6)) for label in catalog.column("category")])
    views = flawshot.ViewRecord(scheme="none", sizes=("256px",), border="zero")
    return flawshot.write_bank(folder, catalog, features[:, :, None].astype(np.float16), FlatEncoder.record, views)


def make_results(folder):
    catalog = small_catalog()
    bank = made_up_bank(folder / "bank", catalog)
    sets = [flawshot.sample_episodes(catalog, "bolt", 1, seeds=range(2))]
    flawshot.evaluate(bank, sets, ["prototype", "knn"]).save(folder / "results.json")


def read_results(folder, out):
    flawshot.write_report(flawshot.Results.load(folder / "results.json"), out / "report.html")


def make_episodes(folder):
    catalog = small_catalog()
    flawshot.write_episodes(flawshot.sample_episodes(catalog, "bolt", 2, seeds=range(2)), folder)
    flawshot.write_episodes(flawshot.sample_episodes(catalog, "bolt", 1, seeds=range(2), protocol="mvrec"), folder)
    flawshot.write_episodes(flawshot.sample_tasks(catalog, "bolt", 1, ways=2, queries=2, episodes=3), folder)


def read_episodes(folder, out):
    wrong = None
    for path in sorted(folder.rglob("*shot.json*")):
        try:
            flawshot.read_episodes(path, small_catalog())
        except flawshot.FlawshotError as error:
            wrong = error
    if wrong is not None:
        raise wrong


def make_model(folder):
    shutil.copytree(modeled().name, folder, symlinks=True, dirs_exist_ok=True)


@cache
def modeled():
    """A model, what it says of a few images, and a review of that."""
    made = tempfile.TemporaryDirectory()
    folder = Path(made.name)
    flawshot.draw_data_set(folder / "parts", categories=2, images=8, side=64, surface="wood", workers=1, seed=3)
    catalog = flawshot.Catalog.open(folder / "parts")
    scheme = flawshot.make_scheme("centre3")
    encoder = flawshot.TinyEncoder(device="cpu", precision="float32")
    bank = flawshot.encode_catalog(catalog, encoder, scheme, folder / "bank").bank
    flawshot.fit_model(bank, folder / "model", source="parts")
    flawshot.predict_catalog(flawshot.load_model(folder / "model", device="cpu"), catalog, folder / "named")
    review = ReviewFolder(folder / "named")
    review.fill(listed(folder / "named", []), folder / "parts", ["a", "b"], [])
    for copy in sorted(review_place(folder / "named").glob("0*.json")):
        document = json.loads(copy.read_text(encoding="utf-8"))
        for shape in document["shapes"]:
            shape["label"] = "a"
        copy.write_text(json.dumps(document), encoding="utf-8")
    review._lock.close()
    return made


def model(folder, out):
    read_model(folder / "model")


def read_review(folder, out):
    problems = []
    ReviewFolder(folder / "named").close()
    found = listed(folder / "named", problems)
    again = ReviewFolder(folder / "named")
    try:
        again.fill(found, folder / "parts", ["a", "b"], problems)
    finally:
        again.close()
    return problems


def read_named(folder, out):
    return list(read_corrections(folder / "named", "wood", accept_all=True).problems)


def make_demo(folder):
    demo = DemoFolder(folder / "demo", "drawn")
    write(folder / "demo/a/1.txt", "1")
    demo.note("a/")


def read_demo(folder, out):
    demo = DemoFolder(folder / "demo", "drawn")
    demo.holds("a")
    demo.own(["a/", "1.txt"])


def make_weights(folder):
    from safetensors.torch import save_file

    state = {"conv.weight": torch.zeros(4, 3, 3, 3), "conv.bias": torch.ones(4, dtype=torch.float16)}
    torch.save({"state_dict": state}, folder / "weights.pt")
    save_file(state, folder / "weights.safetensors")


def each_file(read):
    """Read all files of a folder; one that is refused stops it."""

    def read_all(folder, out):
        for path in sorted(folder.rglob("*.*")):
            read(path)

    return read_all


def make_images(folder):
    for suffix, kind in {
        "png": "PNG",
        "jpg": "JPEG",
        "tif": "TIFF",
        "bmp": "BMP",
        "webp": "WEBP",
        "ppm": "PPM",
        "gif": "GIF",
    }.items():
        write(folder / f"1.{suffix}", _bytes(picture(), kind))
    write(folder / "2.tif", _bytes(picture(), "TIFF", compression="tiff_lzw"))
    write(folder / "3.png", _bytes(picture().convert("P"), "PNG"))
    write(folder / "4.png", _bytes(picture(mode="RGBA"), "PNG", icc_profile=b"profile" * 20))


CONDITIONS = """area > 5000 and split = 'test'
category like 'scr%' or width between 3 and 2 * height
product in ('bolt', 'nut') and not (x0 + 1 < x1) and flags is not null
case when area > 3 then lower(category) = 'dent' else regexp_matches(image, '^b.*[0-9]') end
json_extract(flags, '$.difficult') and cast(area as varchar) <> '' and geometry[1].index = 0
"""


def ask(folder, out):
    for line in (folder / "conditions.sql").read_bytes().decode(errors="replace").splitlines():
        query_rows(asked_catalog(), Condition.parse(line))


@cache
def asked_catalog():
    return small_catalog()


def make_groups(folder):
    rows = [f"bolt/{('train', 'test')[number % 2]}/{number}.png,{number // 3}\n" for number in range(12)]
    write(folder / "groups.csv", "image,group\n" + "".join(rows))


def groups(folder, out):
    flawshot.groups_from_csv(folder / "groups.csv", small_catalog().column("image"))


def make_prompts(folder):
    own = {"dent": ["a dent"], "scratch": ["a scratch on a {product}", "scratched {product}"]}
    document = {
        "format": "flawshot-prompts",
        "version": 1,
        "templates": ["a {category} on a {product}"],
        "categories": own,
    }
    write(folder / "prompts.json", json.dumps(document))


def make_mvrec(folder):
    catalog = small_catalog()
    for part, split in (("support", "train"), ("query", "test")):
        rows = [
            category
            for category, own in zip(catalog.column("category"), catalog.column("split"), strict=True)
            if own == split
        ]
        entries = [
            {"y": torch.tensor(int(row == "scratch")), "mvrec": torch.ones(27, 1, 4, dtype=torch.float16)}
            for row in rows
        ]
        torch.save(entries, folder / f"bolt_{part}.pt")


def mvrec(folder, out):
    flawshot.import_mvrec_features(folder, out / "bank", small_catalog())


def mvtec_fs(folder, out):
    flawshot.import_mvtec_fs(folder, out / "made")


def read_catalog(folder, out):
    list(flawshot.Catalog.open(folder / "bank/catalog.parquet"))


def imported(importer, **options):
    return lambda folder, out: read_problems(importer(folder, out / "made", **options))


READERS: dict[str, Reader] = {
    "labelme": Reader(make_labelme, read_labelme, ("**/*.json",)),
    "labelme-images": Reader(make_labelme, read_labelme, ("**/*.png",)),
    "coco": Reader(make_coco, imported(flawshot.import_coco), ("*.json",)),
    "voc": Reader(make_voc, imported(flawshot.import_voc), ("**/*.xml", "**/*.txt")),
    "yolo": Reader(make_yolo, imported(flawshot.import_yolo), ("**/*.txt", "*.yaml")),
    "csv": Reader(make_tables, imported(flawshot.import_csv), ("*.csv",)),
    "rle": Reader(make_runs, imported(flawshot.import_rle), ("*.csv",)),
    "via": Reader(make_via, imported(flawshot.import_via), ("*.json",)),
    "cvat": Reader(make_cvat, imported(flawshot.import_cvat), ("*.xml",)),
    "label-studio": Reader(make_label_studio, imported(flawshot.import_label_studio), ("*.json",)),
    "deep-pcb": Reader(make_deep_pcb, imported(flawshot.import_deep_pcb), ("**/*.txt",)),
    "detailed": Reader(make_detailed, imported(flawshot.import_mpdd), ("*.json",)),
    "detailed-salvage": Reader(make_detailed, imported(flawshot.import_mpdd, salvage=True), ("*.json",)),
    "mvtec-fs": Reader(make_mvtec_fs, mvtec_fs, ("**/*.csv",)),
    "visa": Reader(make_visa, imported(flawshot.import_masks), ("**/*.csv",)),
    "masks": Reader(make_masks, imported(flawshot.import_masks), ("masks/**/*.*",)),
    "masks-by-value": Reader(make_masks, imported(flawshot.import_masks, instance_values=True), ("masks/**/*.*",)),
    "boxes-coco": Reader(make_found, boxes("boxes.json"), ("boxes.json",)),
    "boxes-table": Reader(make_found, boxes("boxes.csv"), ("boxes.csv",)),
    "boxes-yolo": Reader(make_found, boxes("labels"), ("labels/*.txt",)),
    "maps-numpy": Reader(make_found, maps("arrays"), ("arrays/*.npy",)),
    "maps-tiff": Reader(make_found, maps("tiffs"), ("tiffs/*.tiff",)),
    "folders": Reader(make_found, imported(flawshot.import_folders), ("images/*.png",)),
    "groups": Reader(make_groups, groups, ("*.csv",)),
    "prompts": Reader(make_prompts, each_file(flawshot.read_prompts), ("*.json",)),
    "episodes": Reader(make_episodes, read_episodes, ("**/*.json", "**/*.jsonl")),
    "bank-manifest": Reader(small_bank, read_bank, ("bank/manifest.json",)),
    "bank-files": Reader(small_bank, read_bank, ("bank/*.safetensors", "bank/*.parquet")),
    "catalog": Reader(small_bank, read_catalog, ("bank/*.parquet",)),
    "encode-again": Reader(small_bank, encode_again, ("bank/images.json", "bank/manifest.json")),
    "encode-on": Reader(make_unfinished, encode_again, (".bank*/*.json", ".bank*/*.raw")),
    "results": Reader(make_results, read_results, ("results.json",)),
    "model": Reader(make_model, model, ("model/model.json", "model/support/*")),
    "predictions": Reader(make_model, read_named, ("named/predictions.jsonl", "named/**/*.json")),
    "review": Reader(make_model, read_review, (f".named.review/{STATE}", ".named.review/0*.json", "named/**/*.json*")),
    "demo": Reader(make_demo, read_demo, ("demo/demo.json",)),
    "weights": Reader(make_weights, each_file(read_weights), ("weights.pt", "weights.safetensors")),
    "mvrec-features": Reader(make_mvrec, mvrec, ("*.pt",)),
    "images": Reader(make_images, each_file(lambda path: read_image(path, path.name)), ("*.*",)),
    "conditions": Reader(lambda folder: write(folder / "conditions.sql", CONDITIONS), ask, ("*.sql",)),
}  # fmt: skip


def fresh_copy(pristine: Path, work: Path) -> None:
    """The valid files again."""
    shutil.rmtree(work, ignore_errors=True)
    shutil.copytree(pristine, work, symlinks=True)
