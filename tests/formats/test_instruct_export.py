"""``flawshot export instruct``: every answer is recomputed from the Labelme files; covers ``instruct_questions``."""

from __future__ import annotations

import json
from collections import Counter, defaultdict

import numpy as np
import pytest
from PIL import Image

import flawshot
from commands import refuse, succeed
from export_data import ODD, hard_data, shape, write
from flawshot.evaluation.language_answers import judge_answer
from flawshot.evaluation.language_questions import AskedQuestion
from flawshot.formats.instruct_export import _record, export_instruct
from flawshot.formats.instruct_questions import AskedImage, Flaw, image_questions
from labelme_itself import draw_mask


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """Drawn data with splits: two products, good images, one or two flaws on each other image."""
    root = tmp_path_factory.mktemp("drawn")
    flawshot.draw_data_set(root / "parts", categories=3, images=14, side=96, good=6, products=2, workers=1, seed=3)
    return root / "parts"


@pytest.fixture(scope="module")
def out(drawn, tmp_path_factory):
    out = tmp_path_factory.mktemp("out") / "talk"
    done = succeed("export", "instruct", drawn, out, "--seed", 5)
    assert done.stdout.startswith(f"{out}: ")
    return out


def records(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def truth_of(data):
    """Label, box and area of each instance by image, from the Labelme files alone, drawn by labelme."""
    found = defaultdict(list)
    for path in sorted(data.rglob("*.json")):
        document = json.loads(path.read_text(encoding="utf-8"))
        size = document["imageHeight"], document["imageWidth"]
        groups = {}
        for number, each in enumerate(document["shapes"]):
            key = (each["label"], f"group {each['group_id']}" if each["group_id"] is not None else number)
            groups[key] = groups.get(key, False) | pixels(each, size)
        image = path.with_name(document["imagePath"]).relative_to(data).as_posix()
        for (label, _), mask in groups.items():
            rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
            box = columns[0] / size[1], rows[0] / size[0], (columns[-1] + 1) / size[1], (rows[-1] + 1) / size[0]
            found[image].append((label, box, int(mask.sum())))
    return found


def pixels(each, size):
    if each["shape_type"] != "mask":
        return draw_mask(size, each["points"], each["shape_type"])
    import base64
    import io

    own = np.asarray(Image.open(io.BytesIO(base64.b64decode(each["mask"])))).astype(bool)
    mask = np.zeros(size, bool)
    (x, y), _ = each["points"]
    mask[int(y) : int(y) + own.shape[0], int(x) : int(x) + own.shape[1]] = own
    return mask


ROWS, COLUMNS = ("upper", "center", "lower"), ("left", "center", "right")


def test_every_answer_follows_from_the_labelme_files(drawn, out):
    truth = truth_of(drawn)
    rows = records(out / "instruct.jsonl")
    kinds = Counter()
    for row in rows:
        fact = row["flawshot"]
        kinds[fact["kind"]] += 1
        question, answer = (turn["value"] for turn in row["conversations"])
        assert [turn["from"] for turn in row["conversations"]] == ["human", "gpt"]
        assert question.startswith("<image>\n")
        assert question.count("<image>") == 1
        with Image.open(out / row["image"]) as opened:
            assert opened.size == (fact["width"], fact["height"])
        every = truth.get(fact["source"], [])
        own = [each for each in every if each[0] == fact["category"]] if fact["category"] else every
        if fact["category"]:
            assert fact["category"] in question or fact["kind"] == "what"
        if fact["kind"] == "any":
            assert answer == ("Yes" if own else "No")
            assert fact["present"] == bool(own)
            continue
        if fact["kind"] == "count":
            assert answer == str(len(own)) == str(fact["count"])
            continue
        label, box, area = max(own, key=lambda each: each[2])
        if fact["kind"] == "what":
            assert answer == label == fact["category"]
            assert label in fact["choices"]
            assert ", ".join(fact["choices"]) in question
            if len({each[0] for each in every}) > 1:
                assert "[" + ", ".join(f"{value:.4f}" for value in box) + "]" in question
            continue
        assert ("the largest" in question) == (len(own) > 1)
        if fact["kind"] == "where":
            assert answer == "[" + ", ".join(f"{value:.4f}" for value in box) + "]"
            assert fact["box"] == pytest.approx(box)
        elif fact["kind"] == "size":
            percent = 100 * area / fact["width"] / fact["height"]
            number, sign = answer.split()
            assert (float(number), sign) == (float(f"{percent:.4g}"), "%")
            assert "e" not in number
            assert (fact["area"], fact["percent"]) == (area, pytest.approx(100 * area / fact["width"] / fact["height"]))
        else:
            x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
            name = f"{ROWS[min(2, int(3 * y))]} {COLUMNS[min(2, int(3 * x))]}".replace("center center", "center")
            assert answer == name == fact["part"]
    assert set(kinds) == {"what", "where", "part", "size", "count", "any"}
    images = sorted(path for path in drawn.rglob("*.png"))
    assert {row["flawshot"]["source"] for row in rows} == {path.relative_to(drawn).as_posix() for path in images}


def test_yes_and_no_are_as_frequent_for_every_category(out, drawn):
    truth = truth_of(drawn)
    answers, from_good = Counter(), Counter()
    for row in records(out / "instruct.jsonl"):
        fact = row["flawshot"]
        if fact["kind"] == "any":
            answers[fact["product"], fact["category"], fact["present"]] += 1
            from_good[not fact["present"], fact["source"] in truth] += 1
    for product, category, _ in list(answers):
        assert answers[product, category, True] == answers[product, category, False]
    assert from_good[True, False] > 0
    assert from_good[True, True] > 0
    assert from_good[False, False] == 0


def test_the_same_seed_writes_the_same_bytes_and_another_one_asks_differently(drawn, out, tmp_path):
    catalog = flawshot.Catalog.open(drawn)
    export_instruct(catalog, tmp_path / "again", seed=5)
    names = sorted(path.relative_to(out) for path in out.rglob("*") if path.is_file())
    assert names == sorted(
        path.relative_to(tmp_path / "again") for path in (tmp_path / "again").rglob("*") if path.is_file()
    )
    for name in names:
        assert (out / name).read_bytes() == (tmp_path / "again" / name).read_bytes()
    export_instruct(catalog, tmp_path / "other", seed=6, no_images=True)
    one, other = records(out / "instruct.jsonl"), records(tmp_path / "other/instruct.jsonl")
    assert [row["conversations"][0] for row in one] != [row["conversations"][0] for row in other]
    wordings = {row["conversations"][0]["value"].split()[1] for row in one if row["flawshot"]["kind"] == "where"}
    assert len(wordings) > 1


def test_the_array_and_the_bare_questions_are_the_same_questions(out):
    rows = records(out / "instruct.jsonl")
    assert json.loads((out / "instruct.json").read_text(encoding="utf-8")) == rows
    bare = records(out / "questions.jsonl")
    assert [row["question_id"] for row in bare] == [row["id"] for row in rows]
    assert len({row["id"] for row in rows}) == len(rows)
    for one, other in zip(rows, bare, strict=True):
        assert one["conversations"][0]["value"] == f"<image>\n{other['text']}"
        assert one["image"] == other["image"]


def test_hugging_face_datasets_loads_it(out, tmp_path):
    datasets = pytest.importorskip("datasets")
    read = datasets.load_dataset("json", data_files=str(out / "instruct.jsonl"), cache_dir=str(tmp_path))["train"]
    rows = records(out / "instruct.jsonl")
    assert len(read) == len(rows)
    assert read[3]["conversations"] == rows[3]["conversations"]
    assert read[3]["flawshot"]["kind"] == rows[3]["flawshot"]["kind"]


def test_images_without_a_split_are_divided_and_groups_stay_together(drawn, tmp_path):
    catalog = flawshot.Catalog.open(drawn)
    export_instruct(catalog, tmp_path / "a", test=0.25, seed=1)
    parts = {
        split: {row["flawshot"]["source"] for row in records(tmp_path / f"a/instruct_{split}.jsonl")}
        for split in ("train", "test")
    }
    assert not parts["train"] & parts["test"]
    assert len(parts["test"]) == 10
    assert len(parts["train"]) == 30
    for split in parts:
        present = Counter(
            (fact["product"], fact["category"], fact["present"])
            for fact in (row["flawshot"] for row in records(tmp_path / f"a/instruct_{split}.jsonl"))
            if fact["kind"] == "any"
        )
        assert present
        assert all(present[product, category, not yes] == n for (product, category, yes), n in present.items())
    export_instruct(catalog, tmp_path / "b", test=0.25, seed=1, group=r"(\d)\.png", no_images=True)
    digits = {
        split: {row["flawshot"]["source"][-5] for row in records(tmp_path / f"b/instruct_{split}.jsonl")}
        for split in ("train", "test")
    }
    assert not digits["train"] & digits["test"]
    assert "--test 1.5: must be a share" in refuse("export", "instruct", drawn, tmp_path / "c", "--test", 1.5)
    assert "--group x: does not match" in refuse(
        "export", "instruct", drawn, tmp_path / "c", "--test", 0.5, "--group", "x"
    )
    assert "is not a regular expression" in refuse(
        "export", "instruct", drawn, tmp_path / "c", "--test", 0.5, "--group", "("
    )
    assert "--group a: is for --test" in refuse("export", "instruct", drawn, tmp_path / "c", "--group", "a")
    assert not (tmp_path / "c").exists()


def test_each_product_is_divided_and_what_a_split_lacks_is_named(tmp_path):
    one = [shape("dent", "rectangle", [[1, 1], [9, 9]])]
    for number in range(4):
        write(tmp_path / "data", f"nut/{number}.json", one, seed=number)
    write(tmp_path / "data", "nut/4.json", [shape("cut", "rectangle", [[1, 1], [9, 9]])], seed=4)
    write(tmp_path / "data", "bolt/0.json", one, seed=5)
    write(tmp_path / "data", "screw/a-0.json", one, seed=6)
    write(tmp_path / "data", "screw/a-1.json", one, seed=7)
    lacking = set()
    for seed in range(5):
        out = tmp_path / f"{seed}"
        done = succeed("export", "instruct", tmp_path / "data", out, "--test", 0.99, "--no-images", "--seed", seed)
        assert "warning: bolt: has no image in test" in done.stderr
        assert "screw: has no image" not in done.stderr
        images = {row["image"] for row in records(out / "instruct_train.jsonl")}
        assert sorted(image.split("/")[0] for image in images) == ["bolt", "nut", "screw"]
        (nut,) = (image for image in images if image.startswith("nut"))
        missing = "dent" if nut == "nut/4.png" else "cut"
        assert f"warning: nut: {missing}: is in test, but on no image in train" in done.stderr
        lacking.add(missing)
    assert "cut" in lacking
    group = ("--group", "([a-z]+/a|[0-9])")
    done = succeed("export", "instruct", tmp_path / "data", tmp_path / "g", "--test", 0.5, "--no-images", *group)
    assert "screw: has no image in test" in done.stderr


def test_the_answers_of_a_small_flaw_on_a_long_image_are_right(tmp_path):
    image = AskedImage("a.png", "a.png", "bolt", None, 20_000, 300, (Flaw("cut", (13_331, 77, 13_332, 78), 1),))
    questions, _ = image_questions(image, {"bolt": ("cut", "dent")}, 0)
    read = [AskedQuestion.model_validate_json(json.dumps(_record(question, 0))) for question in questions]
    judged = [judge_answer(each, each.conversations[1].value) for each in read]
    assert {each.question.flawshot.kind for each in judged} == {"what", "where", "part", "size", "count"}
    assert all(each.right and not each.problem for each in judged)
    for each in judged:
        assert each.measures.get("iou", 1) > 0.8
        assert each.measures.get("relative_error", 0) < 0.001


def test_hard_data_keeps_its_splits_and_names_what_is_left_out(tmp_path):
    data = hard_data(tmp_path / "data")
    two = [shape("dent", "rectangle", [[1, 1], [9, 9]]), shape("dent", "rectangle", [[21, 1], [29, 9]])]
    write(data, "nut/images/two.json", two, seed=20)
    write(data, "nut/images/token.json", [shape("<image>", "rectangle", [[1, 1], [9, 9]])], seed=21)
    done = succeed("export", "instruct", data, tmp_path / "out", "--no-images")
    assert "nut/images/two.png: has two largest instances of a category" in done.stderr
    assert "nut/images/token.png: has the label <image>, which would stand for an image" in done.stderr
    assert "nut/images/unnamed.json#0: has no label and is left out" in done.stderr
    assert "not asked whether there is any; too few images do not show it" in done.stderr
    names = {path.name for path in (tmp_path / "out").iterdir() if not path.name.startswith(".")}
    stems = {"instruct_train.jsonl", "instruct_test.jsonl", "instruct.jsonl"}
    assert names == stems | {name.removesuffix("l") for name in stems} | {
        name.replace("instruct", "questions") for name in stems
    }
    rows = records(tmp_path / "out/instruct.jsonl")
    images = {row["image"] for row in rows}
    (embedded,) = (image for image in images if "embedded" in image)
    named = {f"nut/images/{name}" for name in ("a.png", "b.JPG", "none.png", "two.png")}
    assert images == named | {"nut/good/a.png", embedded}
    odd = [row for row in rows if row["flawshot"]["category"] == ODD]
    assert {"where", "any", "size", "part"} <= {row["flawshot"]["kind"] for row in odd}
    assert all(row["flawshot"]["split"] is None for row in rows)
    read = [AskedQuestion.model_validate_json(json.dumps(row)) for row in rows]
    assert all(judge_answer(question, question.conversations[1].value).right for question in read)
    two_asked = [row["flawshot"] for row in rows if row["flawshot"]["source"] == "nut/images/two.png"]
    assert "where" not in {fact["kind"] for fact in two_asked}
    assert [fact["count"] for fact in two_asked if fact["kind"] == "count"] == [2]


def test_what_was_only_predicted_is_no_answer(tmp_path):
    flawshot.draw_data_set(tmp_path / "parts", categories=2, images=6, side=64, workers=1, seed=5)
    succeed("fit", tmp_path / "parts", "--out", tmp_path / "model", "--classifier", "prototype")
    succeed("predict", tmp_path / "model", tmp_path / "parts", "--out", tmp_path / "named")
    assert "image" in succeed("export", "instruct", tmp_path / "named", tmp_path / "known").stdout
    first, *others = sorted((tmp_path / "named").rglob("0*.json"))

    def forget(path):
        document = json.loads(path.read_text(encoding="utf-8"))
        for each in document["shapes"]:
            each["flawshot"]["was"] = None
        path.write_text(json.dumps(document), encoding="utf-8")

    forget(first)
    done = succeed("export", "instruct", tmp_path / "named", tmp_path / "some")
    assert "has regions that were only predicted; it is left out" in done.stderr
    sources = [
        {row["flawshot"]["source"] for row in records(tmp_path / name / "instruct.jsonl")} for name in ("known", "some")
    ]
    assert len(sources[0] - sources[1]) == 1
    for path in others:
        forget(path)
    said = refuse("export", "instruct", tmp_path / "named", tmp_path / "none")
    assert "has no image to ask about; the first problem: " in said
    assert not (tmp_path / "none").exists()
