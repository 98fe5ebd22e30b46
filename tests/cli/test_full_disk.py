"""A full disk: every command that writes says so in one line, and goes on when there is room again."""

from __future__ import annotations

import json
import shutil

import pytest
from PIL import Image

import flawshot
from commands import shell
from flawshot.encoders.flawshot_tiny import TINY_VIEWS, TinyEncoder
from flawshot.models.fitting import fit_model
from flawshot.models.predicting import predict_catalog

resource = pytest.importorskip("resource")
# A file that stays open after a failure is an error, not a remark.
pytestmark = pytest.mark.filterwarnings("error::pytest.PytestUnraisableExceptionWarning")

# Of each of the ways in which a result comes into being.
RERUN = frozenset({"encode", "fit-data", "learn", "predict", "sample", "masks", "coco-out"})
VOC = """<annotation><filename>a.png</filename><size><width>90</width><height>90</height><depth>1</depth></size>
<object><name>dent</name><bndbox><xmin>1</xmin><ymin>1</ymin><xmax>9</xmax><ymax>9</ymax></bndbox></object>
</annotation>"""
COCO = {
    "images": [{"id": 1, "file_name": "a.png", "width": 90, "height": 90}],
    "categories": [{"id": 1, "name": "dent"}],
    "annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 1, 9, 9]}],
}
COMMANDS = {
    "encode": "encode parts --out new",
    "fit": "fit bank --out new",
    "fit-data": "fit parts --out new",
    "learn": "learn model predicted --accept-all --out new",
    "predict": "predict model parts --out new",
    "evaluate": "evaluate bank episodes/disjoint --classifiers prototype --json new.json",
    "report": "evaluate bank episodes/disjoint --classifiers prototype --report new.html",
    "sample": "sample parts --shots 1 --out new",
    "catalog": "stats parts --catalog new.parquet",
    "plot": "stats parts --plot new.png",
    "query": "query parts TRUE --crops new",
    "crops": "crops parts --out new",
    "masks": "export masks parts new",
    "detailed": "export detailed parts new.json",
    "coco-out": "export coco parts new",
    "yolo-out": "export yolo parts new --segments",
    "voc-out": "export voc parts new",
    "imagefolder": "export imagefolder parts new",
    "fiftyone": "export fiftyone parts new --bank bank",
    "coco": "import coco coco.json new --images voc",
    "voc": "import voc voc new",
    "yolo": "import yolo yolo new",
    "csv": "import csv yolo/boxes.csv new",
    "synth": "synth new --images 4 --categories 2 --size 96 --workers 1",
    "demo": "demo --out new",
}


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    """A data set with its bank, episodes, model and predictions; never written to."""
    folder = tmp_path_factory.mktemp("work")
    flawshot.draw_data_set(folder / "parts", categories=2, images=8, side=96, surface="wood", workers=1, seed=3)
    catalog = flawshot.Catalog.open(folder / "parts")
    encoder = TinyEncoder(device="cpu", precision="float32")
    bank = flawshot.encode_catalog(catalog, encoder, flawshot.make_scheme(*TINY_VIEWS), folder / "bank").bank
    episodes = flawshot.sample_episodes(catalog, catalog.products[0], 1, seeds=range(2))
    flawshot.episodes.write_all([episodes], folder / "episodes")
    model = fit_model(bank, folder / "model", classifier="prototype")
    (folder / "coco.json").write_text(json.dumps(COCO))
    (folder / "voc").mkdir()
    (folder / "voc/a.xml").write_text(VOC)
    Image.new("L", (90, 90)).save(folder / "voc/a.png")
    (folder / "yolo").mkdir()
    (folder / "yolo/a.txt").write_text("0 0.5 0.5 0.5 0.5\n")
    (folder / "yolo/boxes.csv").write_text("image,label,x,y,w,h\na.png,dent,1,2,8,6\n")
    Image.new("L", (90, 90)).save(folder / "yolo/a.png")
    predict_catalog(flawshot.load_model(model.path, device="cpu"), catalog, folder / "predicted")
    return folder


def run(folder, command, limit):
    """What a command says if no file may become longer, bytes: writing fails as on a full disk, with another number."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))  # Python itself ignores the signal that goes with it
    try:
        return shell(*command.split(), cwd=folder)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("name", COMMANDS)
def test_a_full_disk_is_one_line_and_a_rerun_finishes(work, tmp_path, name):
    folder = tmp_path / "w"
    shutil.copytree(work, folder)
    before = {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    full = run(folder, COMMANDS[name], 60)
    assert full.returncode == 2, full.stderr
    assert "Traceback" not in full.stderr
    last = full.stderr.strip().splitlines()[-1]
    assert last.startswith("flawshot: ")
    assert "File too large" in last
    assert "new" in last
    assert {path: (folder / path).read_bytes() for path in before} == before
    assert not (folder / "new").is_file()
    if name not in RERUN:
        return
    again = run(folder, COMMANDS[name], resource.RLIM_INFINITY)
    assert again.returncode == 0, again.stderr
