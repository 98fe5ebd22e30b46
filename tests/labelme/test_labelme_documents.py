"""A Labelme document as an object is taken, and refused, exactly as the file that it would make."""

from __future__ import annotations

import copy
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flawshot import AnnotationError
from flawshot.labelme.labelme_file import parse_labelme, parse_labelme_document
from helpers import box_shape, labelme_document

NUMBERS = st.one_of(
    st.integers(-5, 300_000), st.floats(), st.booleans(), st.just(2**70), st.just(10**400), st.just("1"), st.none()
)
TEXT = st.one_of(st.text(max_size=5), st.sampled_from(["dent", "\ud800", "\udc00a", "\U0001f600", "", "\0"]))
ANY = st.recursive(
    st.one_of(NUMBERS, TEXT),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
POINTS = st.one_of(st.lists(st.lists(NUMBERS, min_size=2, max_size=2), max_size=4), ANY)
SHAPES = st.fixed_dictionaries(
    {},
    optional={
        "label": st.one_of(TEXT, ANY),
        "points": POINTS,
        "shape_type": st.one_of(st.sampled_from(["polygon", "rectangle", "circle", "mask", "rotation"]), ANY),
        "group_id": st.one_of(st.integers(0, 3), ANY),
        "flags": st.one_of(st.dictionaries(TEXT, st.booleans(), max_size=2), ANY),
        "description": ANY,
        "mask": ANY,
        "more": ANY,
    },
)
DOCUMENTS = st.fixed_dictionaries(
    {"imagePath": st.one_of(st.just("a.png"), ANY), "shapes": st.one_of(st.lists(SHAPES, max_size=3), ANY)},
    optional={
        "imageHeight": st.one_of(st.integers(1, 99), NUMBERS),
        "imageWidth": st.one_of(st.integers(1, 99), NUMBERS),
        "imageData": ANY,
        "flags": ANY,
        "version": ANY,
        "other": ANY,
    },
)


def outcome(parse, given):
    """What came of parsing, in a form that can be compared: NaN is itself, and arrays are their values."""
    try:
        file, problems = parse(given, "a.json")
    except AnnotationError as error:
        return repr(error.problem)
    values = {name: getattr(file, name) for name in file.__slots__ if name != "shapes"}
    shapes = [
        {name: getattr(shape, name) for name in ("index", "label", "shape_type", "group_id", "flags", "description")}
        | {"points": shape.points.tolist(), "kind": shape.points.dtype, "mask": shape.mask_png, "other": shape.other}
        for shape in file.shapes
    ]
    return repr((values, shapes, problems))


def as_file(document):
    return json.dumps(document).encode()


@settings(max_examples=400, deadline=None)
@given(DOCUMENTS)
def test_an_object_is_taken_as_its_file_is(document):
    before = copy.deepcopy(document)
    assert outcome(parse_labelme_document, document) == outcome(parse_labelme, as_file(document))
    assert repr(document) == repr(before)


@pytest.mark.parametrize("levels", [97, 98, 99, 100, 101, 150])
@pytest.mark.parametrize("kind", [list, dict])
def test_the_depth_that_is_refused_is_the_same(levels, kind):
    nested = 0
    for _ in range(levels - 1):
        nested = [nested] if kind is list else {"a": nested}
    document = labelme_document([box_shape()], deep=nested)
    got = outcome(parse_labelme_document, document)
    assert got == outcome(parse_labelme, as_file(document))
    assert ("nested deeper" in got) == (levels > 100)


def test_very_deep_objects_are_refused_without_recursion():
    nested = []
    for _ in range(100_000):
        nested = [nested]
    with pytest.raises(AnnotationError, match="nested deeper"):
        parse_labelme_document(labelme_document([], deep=nested), "a.json")
    while nested:  # freed level by level, for Python would run out of stack
        nested = nested.pop()


@pytest.mark.parametrize("wrong", [{}, {"shapes": []}, [], None, {"imagePath": "a.png"}])
def test_what_is_no_document_is_refused(wrong):
    with pytest.raises(AnnotationError, match="is not a Labelme file"):
        parse_labelme_document(wrong, "a.json")


def test_what_json_has_no_form_for_is_no_shape():
    shapes = [box_shape(points=((1, 1), (9, 1), (9, 9))), box_shape(points=np.ones((3, 2))), box_shape(label=b"dent")]
    file, problems = parse_labelme_document(labelme_document(shapes), "a.json")
    assert not file.shapes
    assert [problem.shape for problem in problems] == [0, 1, 2]


def test_shapes_do_not_share_what_they_were_made_of():
    shared = {"flags": {"ignore": True}}
    document = labelme_document([box_shape(**shared), box_shape(**shared)])
    file, _ = parse_labelme_document(document, "a.json")
    assert file.shapes[0].flags == file.shapes[1].flags
    assert file.shapes[0].flags is not file.shapes[1].flags
