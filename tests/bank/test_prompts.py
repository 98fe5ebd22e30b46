"""Prompts: labels become words, and a file's braces are only ever the two fields."""

from __future__ import annotations

import json

import pytest

from flawshot import FlawshotError, Prompts, read_prompts
from flawshot.bank.prompts import TEMPLATES, prompts_of

HEAD = {"format": "flawshot-prompts", "version": 1}


@pytest.fixture
def write(tmp_path):
    def make(**fields):
        path = tmp_path / "prompts.json"
        path.write_text(json.dumps(HEAD | fields))
        return path

    return make


def test_the_built_in_templates_name_product_and_category_as_words():
    prompts = prompts_of(Prompts(), "metal_nut", "Bent-lead__2")
    assert len(prompts) == len(set(prompts)) == len(TEMPLATES) == 8
    assert prompts[0] == "a photo of a metal nut with a bent lead 2"
    assert all("bent lead 2" in prompt and "{" not in prompt for prompt in prompts)


def test_a_categorys_own_prompts_take_the_templates_place(write):
    prompts = read_prompts(
        write(templates=["a {category}"], categories={"cut_lead": ["a {product} whose lead is cut", "{category}"]})
    )
    assert prompts == Prompts(("a {category}",), {"cut_lead": ("a {product} whose lead is cut", "{category}")})
    assert prompts_of(prompts, "transistor", "cut_lead") == ["a transistor whose lead is cut", "cut lead"]
    assert prompts_of(prompts, "transistor", "Cut_lead") == ["a cut lead"]  # keys are labels as they stand


def test_what_a_file_leaves_away_is_built_in(write):
    assert read_prompts(write()) == Prompts()
    own = {"dent": ["a dent"]}
    assert read_prompts(write(categories=own)) == Prompts(TEMPLATES, {"dent": ("a dent",)})


@pytest.mark.parametrize("label", ["{product}", "{0}", "{category}", "\\g<1>", "{category.__class__}", "100%"])
def test_a_labels_own_braces_stay_what_they_are(label):
    assert prompts_of(Prompts(("a {category} on a {product}",)), "{category}", label) == [
        f"a {label.lower()} on a {{category}}".replace("__", " ")
    ]


@pytest.mark.parametrize(
    "hostile",
    [
        "{category.__class__}",
        "{category[0]}",
        "{category!r}",
        "{category:>99999999999}",
        "{0}",
        "{}",
        "{{category}}",
        "{ca{category}tegory}",
        "{label}",
        "{Category}",
        "}",
        "{",
        "{product.__init__.__globals__}",
    ],
)
def test_other_braces_than_the_two_fields_are_refused(write, hostile):
    for place, fields in (
        ("templates.1", {"templates": ["a {category}", f"{{category}} {hostile}"]}),
        ("categories.dent.0", {"categories": {"dent": [hostile]}}),
    ):
        with pytest.raises(FlawshotError) as caught:
            read_prompts(write(**fields))
        assert f"prompts.json: {place}: " in str(caught.value)
        assert "has braces other than {category} and {product}; fix it" in str(caught.value)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"templates": []}, "templates: contains no prompt"),
        ({"templates": ["a {category}", " "]}, "templates.1: is empty"),
        (
            {"templates": ["a photo of a defect"]},
            "templates.0: has no {category}, so it is the same for every category",
        ),
        ({"templates": ["a\n{category}"]}, "templates.0: 'a\\\\n{category}' must be one line"),
        ({"templates": "a {category}"}, "templates: "),
        ({"templates": [3]}, "templates.0: "),
        ({"categories": {"dent": []}}, "categories.dent: contains no prompt"),
        ({"categories": {"a\nb": [""]}}, "categories.a\\nb.0: is empty"),
        ({"categories": {"dent": "a dent"}}, "categories.dent: "),
        ({"categorys": {}}, "categorys: "),
        ({"version": 2}, "version: "),
        ({"format": "flawshot-bank"}, "format: "),
    ],
)
def test_what_is_no_file_of_prompts_is_one_line_that_names_the_field(write, fields, message):
    with pytest.raises(FlawshotError) as caught:
        read_prompts(write(**fields))
    assert f"prompts.json: {message}" in str(caught.value)
    assert str(caught.value).endswith("; fix it as docs/formats.md describes")
    assert "\n" not in str(caught.value)


def test_lists_will_do_in_python_and_one_text_is_no_sequence_of_them():
    assert Prompts(["a {category}"], {"dent": ["a dent"]}) == Prompts(("a {category}",), {"dent": ("a dent",)})
    with pytest.raises(FlawshotError, match="templates: must be a sequence of prompts, not one"):
        Prompts("a {category}")
    with pytest.raises(FlawshotError, match=r"categories\.dent: must be a sequence"):
        Prompts(categories={"dent": "a dent"})


def test_a_file_that_is_not_there_or_no_json_is_one_line(tmp_path):
    with pytest.raises(FlawshotError, match=r"none\.json: cannot be read"):
        read_prompts(tmp_path / "none.json")
    (tmp_path / "photo.jpg").write_bytes(b"\xff\xd8\xff")
    with pytest.raises(FlawshotError, match=r"photo\.jpg: the whole file: "):
        read_prompts(tmp_path / "photo.jpg")
