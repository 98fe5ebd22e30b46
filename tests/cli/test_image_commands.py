"""``import masks``, ``crops`` and ``encode``, as a user runs them."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

import tiny_clip
from flawshot import CLASSIFIERS, Catalog, FeatureBank, FlawshotError, sample_episodes, write_episodes
from flawshot.cli import app
from flawshot.cli.wording import option_words
from helpers import box_shape


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Run a command in this process, where the tiny models are known."""
    tiny_clip.register(tmp_path)
    torch.save(tiny_clip.make("tiny-vit").state_dict(), tmp_path / "tiny.pt")
    monkeypatch.chdir(tmp_path)

    def call(*arguments):
        return CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=True)

    return call


@pytest.fixture
def data(write_annotations):
    labels = ["dent", "../../x", "<b>", "dent"]
    root = write_annotations({f"p/{n}.json": [box_shape(label, at=(20, 30))] for n, label in enumerate(labels)})
    rng = np.random.default_rng(0)
    for n in range(4):
        Image.fromarray(rng.integers(0, 256, (100, 120, 3), dtype=np.uint8)).save(root / f"p/{n}.png")
    return root


def test_encode_says_what_it_did_and_does_it_once(run, data, tmp_path):
    options = (
        "--out",
        "bank",
        "--model",
        "tiny-vit",
        "--pretrained",
        "tiny.pt",
        "--views",
        "cross15",
        "--patch-tokens",
        1,
    )
    first = run("encode", data, *options, "--batch-size", 7, "--workers", 1)
    assert first.exit_code == 0, first.output
    assert "tiny.pt: does not state its activation; used gelu as for tiny-vit" in first.output
    assert "bank: 4 instances x 15 views x 2 tokens x 16; 4 encoded, 0 kept, 0 left out" in first.output
    assert "0 encoded, 4 kept" in run("encode", data, *options, "--activation", "gelu").output
    (data / "p/3.png").write_bytes(b"")
    again = run("encode", data, *options)
    assert "left out: p/3.png: the image cannot be decoded" in again.output
    assert "0 encoded, 3 kept, 1 left out" in again.output
    manifest = FeatureBank.open(tmp_path / "bank").manifest
    assert manifest.left_out[0].instances == ("p/3.json#0",)
    strict = run("encode", data, *options, "--strict", "--overwrite", "--view-size", "64")
    assert isinstance(strict.exception, FlawshotError)
    assert "p/3.png" in str(strict.exception)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--model", "tiny-vi", "--pretrained", "tiny.pt"], "--model tiny-vi: is not a model of"),
        (["--model", "tiny-vit", "--pretrained", "none.pt"], "none.pt: there is no such file"),
        (["--model", "tiny-vit", "--pretrained", "tiny.pt", "--views", "x"], "--views x"),
        (["--model", "tiny-vit", "--pretrained", "tiny.pt", "--view-size", "1,big"], "--view-size big"),
        (["--model", "tiny-vit", "--pretrained", "tiny.pt", "--batch-size", "0"], "--batch-size 0"),
        (
            ["--model", "tiny-vit", "--pretrained", "tiny.pt", "--region", "alpha", "--activation", "gelu"],
            "--activation gelu: tiny-vit takes quickgelu",
        ),
        (["--model", "none", "--pretrained", "none", "--prompts", "none.json"], "none.json: cannot be read"),
        (
            ["--model", "tiny-vit", "--pretrained", "tiny.pt", "--prompts", "prompts.json", "--layer", "trunk"],
            "--prompts: cannot be used; features of the layer trunk cannot be compared with text",
        ),
    ],
)
def test_what_a_user_gets_wrong_is_one_line(run, data, tmp_path, options, message):
    (tmp_path / "prompts.json").write_text('{"format": "flawshot-prompts", "version": 1}')
    done = run("encode", data, "--out", "bank", *options)
    assert isinstance(done.exception, FlawshotError), done.output
    assert message in done.exception.worded(option_words)
    assert "\n" not in done.exception.worded(option_words)


def test_crops_writes_a_sheet_an_instance_and_never_leaves_its_folder(run, data, tmp_path):
    done = run("crops", data, "--out", "sheets", "--views", "mso", "--side", 32)
    assert done.exit_code == 0, done.output
    sheets = sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*_23_0.png"))
    assert len(sheets) == 4
    assert all(path.startswith("sheets/p/") for path in sheets)
    with Image.open(tmp_path / sheets[0]) as sheet:
        assert sheet.size == (9 * 36 + 4, 3 * 36 + 4)
        assert (np.asarray(sheet) == (255, 60, 0)).all(axis=2).any()  # the outline
    assert (
        run("crops", data, "--out", "sheets", "--views", "mso", "--side", 32).exit_code == 0
    )  # the same content is no harm
    other = run("crops", data, "--out", "sheets", "--views", "mso", "--side", 40)
    assert "exists with different content" in str(other.exception)


def test_plain_crops_are_the_box_and_its_mask_with_a_table(run, data, tmp_path):
    assert run("crops", data, "--out", "plain", "--plain").exit_code == 0
    with (tmp_path / "plain/crops.csv").open(newline="") as opened:
        rows = list(csv.DictReader(opened))
    assert [row["category"] for row in rows] == Catalog.open(data).column("category")
    for row in rows:
        box = tuple(int(row[key]) for key in ("x0", "y0", "x1", "y1"))
        assert box == (20, 30, 29, 39)
        with Image.open(data / f"{row['id'][:-7]}.png") as image:
            expected = np.asarray(image.crop(box))
        np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "plain" / row["crop"])), expected)
        assert np.asarray(Image.open(tmp_path / "plain" / row["mask"])).min() == 255


def test_import_masks_reads_a_tree_and_sums_up(run, tmp_path):
    folder = tmp_path / "parts/dent"
    folder.mkdir(parents=True)
    mask = np.zeros((9, 9), np.uint8)
    mask[2:5, 2:5] = 255
    Image.fromarray(mask).save(folder / "a.png")
    Image.new("L", (9, 9)).save(folder / "a.jpg")
    Image.new("L", (9, 9)).save(folder / "b.jpg")
    done = run("import", "masks", "parts", "labelme", "--min-area", 4)
    assert "product parts, 1 category (dent), 1 image, 1 instance; 0 under 4 px left out" in done.output
    assert "parts: layout beside, recognized: --pattern '{category}/**/{name} | {category}/**/{name}'" in done.stderr
    assert "dent/b.jpg: has no mask b.png beside it" in done.output
    assert json.loads((tmp_path / "labelme/parts/dent/a.json").read_text())["shapes"][0]["shape_type"] == "polygon"
    assert "1 mask of 1 instance" in run("export", "masks", "labelme", "masks").stdout
    with Image.open(tmp_path / "masks/parts/ground_truth/dent/a_mask.png") as written:
        np.testing.assert_array_equal(np.asarray(written), mask)


def test_prompts_shape_the_text_features_that_classifiers_by_text_need(run, tmp_path, write_annotations):
    files = {f"p/{label}{n}.json": [box_shape(label, at=(20, 30))] for label in ("dent", "stain") for n in range(4)}
    data = write_annotations(files)
    rng = np.random.default_rng(0)
    for name in files:
        Image.fromarray(rng.integers(0, 256, (100, 120, 3), dtype=np.uint8)).save(data / name.replace("json", "png"))
    document = {"format": "flawshot-prompts", "version": 1, "categories": {"dent": ["a hollow"], "Stain": ["a spot"]}}
    (tmp_path / "prompts.json").write_text(json.dumps(document))
    assert run("sample", data, "--out", "episodes", "--shots", 1, "--seeds", 2).exit_code == 0
    encode = ("encode", data, "--model", "tiny-vit", "--pretrained", "tiny.pt", "--views", "none")

    done = run(*encode, "--out", "bank", "--prompts", "prompts.json")
    assert done.exit_code == 0, done.output
    assert "8 encoded, 0 kept, 0 left out; text features of 2 categories" in done.stdout
    assert "prompts.json: categories.Stain: no instance has this label" in done.stderr
    assert FeatureBank.open(tmp_path / "bank").manifest.text.categories["dent"] == ("a hollow",)
    again = run(*encode, "--out", "bank")
    assert "0 encoded, 8 kept" in again.stdout
    assert "bank: kept its own prompts; a prompts file without prompts, or overwriting, brings" in again.stderr
    assert FeatureBank.open(tmp_path / "bank").manifest.text.categories["dent"] == ("a hollow",)
    (tmp_path / "none.json").write_text('{"format": "flawshot-prompts", "version": 1}')
    back = run(*encode, "--out", "bank", "--prompts", "none.json")
    assert "own prompts" not in back.stderr
    assert FeatureBank.open(tmp_path / "bank").manifest.text.categories == {}
    done = run("evaluate", "bank", "episodes", "--classifiers", "zero-shot,knn")
    assert done.exit_code == 0, done.output
    assert "zero-shot" in done.stdout

    done = run(*encode, "--out", "trunk", "--layer", "trunk")
    assert "no text features of the categories: features of the layer trunk cannot be compared" in done.stderr
    assert "text features" not in done.stdout
    named = run("evaluate", "trunk", "episodes", "--classifiers", "knn,zero-shot")
    assert isinstance(named.exception, FlawshotError)
    said = named.exception.worded(option_words)
    assert "--classifiers zero-shot: trunk: has no text features of the categories" in said


def test_all_leaves_out_what_needs_text_where_there_is_none_and_says_so(run, catalog_of, bank_of, monkeypatch):
    bank = bank_of(catalog_of([(f"p/{c}{n}", [c]) for c in ("dent", "stain") for n in range(3)]))
    kept = {name: CLASSIFIERS[name] for name in ("evidence-ridge", "knn", "zero-shot", "tip-adapter")}
    monkeypatch.setattr("flawshot.classifiers.CLASSIFIERS", kept)
    write_episodes(sample_episodes(bank.catalog, "p", 1), "episodes")
    done = run("evaluate", bank.path, "episodes", "--classifiers", "all", "--json", "-")
    assert done.exit_code == 0, done.output
    expected = "left out because the bank has no text features of the categories: zero-shot, tip-adapter"
    assert expected in done.stderr.splitlines()
    shown = {each["classifier"] for each in json.loads(done.stdout)["runs"]}
    assert shown == {"default (evidence-ridge)", "knn", "outline", "chance", "majority"}


def test_encode_needs_no_model(run, data):
    """The embedded encoder says what it is, takes its own views, and needs nothing from outside."""
    result = run("encode", data, "--out", "bank")
    assert result.exit_code == 0, result.output
    assert "flawshot-tiny: a small encoder trained on drawn surfaces" in result.output
    assert "the model ViT-L-14-quickgelu with the weights openai" in result.output
    assert "bank: 4 instances x 3 views x 1 token x 520; 4 encoded" in result.output
    views = FeatureBank.open("bank").manifest.views
    assert (views.scheme, views.sizes) == ("centre3", ("1.5x", "2x", "3x"))
    assert "3 views x 1 token x 128" in run("encode", data, "--out", "other", "--layer", "projection").output
    assert "5 views" not in run("encode", data, "--out", "mso", "--views", "mso", "--view-size", "64,96").output


@pytest.mark.parametrize(
    ("options", "line"),
    [
        pytest.param(
            ["--pretrained", "openai"], "--pretrained openai: is not supported by flawshot-tiny", id="weights"
        ),
        pytest.param(["--patch-tokens", "2"], "--patch-tokens 2: is not supported by flawshot-tiny", id="tokens"),
        pytest.param(["--region", "masked"], "--region masked: flawshot-tiny takes alpha", id="region"),
        pytest.param(["--model", "ViT-B-32"], "--pretrained: name the weights of ViT-B-32", id="other model"),
    ],
)
def test_what_the_embedded_encoder_does_not_take(run, data, options, line):
    result = run("encode", data, "--out", "bank", *options)
    assert isinstance(result.exception, FlawshotError)
    assert result.exception.worded(option_words).startswith(line)
