"""A folder in which Labelme shows predictions, most doubtful first; changes made there are carried back.

``docs/adr/0016`` explains why Labelme does not open the predictions themselves.
"""

from __future__ import annotations

import hashlib
import math
import os
import re
import shutil
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from flawshot.base.arguments import argument
from flawshot.base.errors import AnnotationError, FlawshotError, Problem
from flawshot.base.store.files import Document, json_bytes, one_line, read_document, write_bytes, write_json
from flawshot.base.store.json_documents import ANNOTATION_BYTES, file_bytes
from flawshot.base.store.locks import lock
from flawshot.base.store.places import discard
from flawshot.labelme.embedded import embedded_size
from flawshot.labelme.images import open_image
from flawshot.labelme.labelme_file import parse_labelme
from flawshot.labelme.labelme_json import annotation_bytes, labelme_object
from flawshot.models.corrections import ALL_CONFIRMED, PREDICTED, answer_id, how_said, image_of
from flawshot.models.prediction_folder import read_predictions

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from flawshot.models.prediction_folder import FileRecord

__all__ = ["FLAGS", "LABELS", "SHAPE_FLAGS", "ReviewFolder", "ReviewItem", "carry_back_left", "listed", "review_place"]

LABELS, FLAGS, SHAPE_FLAGS, STATE = "labels.txt", "flags.txt", "shape-flags.json", "review.json"
LOG = "labelme.log"
# What the review itself puts into its folder, besides copies and images.
OWN = frozenset({".lock", LOG, LABELS, FLAGS, SHAPE_FLAGS, STATE})
NUMBERED = re.compile(r"\d{5}-")
REMEDY = "save what you need from it by hand, then remove its folder"
LETTERS = 60


class ReviewItem(NamedTuple):
    """A file of predictions to review.

    Attributes:
        annotation: Its path in the folder of predictions (POSIX).
        answered: What was predicted.
        waiting: Number of its regions that nobody has reviewed.
        doubtful: How many of these are unsure, or unlike every category.
        probability: The lowest probability of the doubtful regions, or of all waiting ones; infinite if none waits.
        rank: The first rank of those waiting regions that were suggested for labeling; infinite if none was.
        labels: The labels in it.
        flags: The flags of its shapes.
    """

    annotation: str
    answered: FileRecord
    waiting: int
    doubtful: int
    probability: float
    rank: float
    labels: tuple[str, ...]
    flags: tuple[str, ...]


class _Entry(Document):
    """A file in the folder: its original, and the hashes of both when they last matched."""

    annotation: str
    original: str
    written: str


class _State(Document):
    """Maps the folder's files to those of the predictions; ``review.json``."""

    format: Literal["flawshot-review"]
    version: Literal[1]
    files: dict[str, _Entry]


def review_place(out: Path) -> Path:
    """The folder for reviewing predictions, beside them."""
    return out.absolute().with_name(f".{out.absolute().name}.review")


def listed(out: Path, problems: list[Problem]) -> list[ReviewItem]:
    """The files of a folder of predictions, in the order in which a person should look at them.

    Files with suggested regions that nobody has reviewed come first, in the order of the suggestions; then files with
    doubtful regions (unsure, or unlike every category) that nobody has reviewed, lowest probability first; then the
    others with unreviewed regions, in the same order; then those that are done, and those on which nothing was found,
    with the highest score of the image first.

    Args:
        out: The folder.
        problems: Files that cannot be read are added here.

    Raises:
        FlawshotError: If it is not a folder of predictions.
    """
    found = []
    for answered in read_predictions(out)[1]:
        if answered.file_hash is None:
            continue
        place = out / answered.annotation
        try:
            file, _ = parse_labelme(annotation_bytes(place, str(place)), str(place))
        except AnnotationError as error:
            problems.append(error.problem)
            continue
        left = [shape for shape in file.shapes if how_said(shape, file) == "not looked at"]
        doubtful = [shape for shape in left if shape.flags.get("unsure") or shape.flags.get("unknown")]
        shares = {answer.id: answer.probability for answer in answered.answers}
        ranks = {answer.id: float(answer.rank) for answer in answered.answers if answer.rank is not None}
        found.append(
            ReviewItem(
                annotation=answered.annotation,
                answered=answered,
                waiting=len(left),
                doubtful=len(doubtful),
                probability=min(
                    (shares.get(answer_id(shape) or "", 0.0) for shape in doubtful or left), default=math.inf
                ),
                rank=min((ranks.get(answer_id(shape) or "", math.inf) for shape in left), default=math.inf),
                labels=tuple(dict.fromkeys(shape.label for shape in file.shapes)),
                flags=tuple(dict.fromkeys(flag for shape in file.shapes for flag in shape.flags)),
            )
        )
    return sorted(found, key=_urgency)


def _urgency(each: ReviewItem) -> tuple[float, bool, bool, float, float, str]:
    score = each.answered.image_score
    return (
        each.rank,
        not each.doubtful,
        not each.waiting,
        each.probability,
        0.0 if each.waiting or score is None else -score,
        each.annotation,
    )


class ReviewFolder:
    """Links to images, named in the order of review, each beside a copy of its predictions.

    Only one process can use it at a time; changes that an earlier one left are carried back first.

    Args:
        out: The folder of predictions.

    Attributes:
        place: The folder.
        carried: The files of the predictions that were changed, in the order of their first change.

    Raises:
        FlawshotError: If another process is using it, or it cannot be written.
    """

    def __init__(self, out: Path) -> None:
        self.out, self.place = out.absolute(), review_place(out)
        self.carried: list[str] = []
        self._files: dict[str, _Entry] = {}
        self._settled = False
        try:
            self.place.mkdir(exist_ok=True)
            self._lock = (self.place / ".lock").open("ab")
        except OSError as error:
            raise FlawshotError(f"{self.place}: cannot be written ({error.strerror or error})") from error
        try:
            lock(self._lock, self.place)
            if (self.place / STATE).is_file():
                self._files = read_document(self.place / STATE, _State, REMEDY).files
            self.carry_back(last=True)
        except BaseException:
            self._lock.close()
            raise

    def fill(
        self, entries: Sequence[ReviewItem], root: Path, categories: Sequence[str], problems: list[Problem]
    ) -> int:
        """Empty the folder and fill it again.

        Args:
            entries: The files to review, in order.
            root: The folder of their images.
            categories: The labels to choose from; labels that are already in the files are added.
            problems: Files whose image is missing are added here, and left out.

        Returns:
            Number of files that can be reviewed.
        """
        self._empty()
        self._files = {}
        labels, flags = list(categories), [PREDICTED, "unsure", "unknown"]
        for entry in entries:
            place = self.out / entry.annotation
            content = annotation_bytes(place, str(place))
            file, _ = parse_labelme(content, str(place))
            image = root / image_of(entry.answered)
            name = self._name(entry.annotation, len(self._files) + 1)
            try:
                shown = _show(image, self.place / name, file.image_data if embedded_size(file) else None)
            except (OSError, FlawshotError) as error:
                problems.append(Problem(str(place), "missing-image", f"its image {image}: {one_line(error)}"))
                continue
            document = labelme_object(content, str(place), []) | {"imagePath": shown, "imageData": None}
            written = json_bytes(document, place)
            write_bytes(self.place / f"{name}.json", written)
            self._files[f"{name}.json"] = _Entry(
                annotation=entry.annotation, original=_hash(content), written=_hash(written)
            )
            labels += entry.labels
            flags += entry.flags
        for name, lines in ((LABELS, labels), (FLAGS, [ALL_CONFIRMED])):
            text = "".join(f"{line}\n" for line in dict.fromkeys(lines) if line.strip() and "\n" not in line)
            write_bytes(self.place / name, text.encode())
        # Every shape gets the flags as check boxes, and keeps them when its label is changed.
        write_json(self.place / SHAPE_FLAGS, {".*": list(dict.fromkeys(flags))})
        self._save()
        return len(self._files)

    def _name(self, annotation: str, number: int) -> str:
        words = re.sub(r"[^\w.-]+", "_", annotation.removesuffix(".json"))[-LETTERS:]
        return f"{number:05}-{words}"

    def carry_back(self, *, last: bool = False) -> None:
        """Copy changed shapes and flags to the predictions' own files; everything else there is kept.

        Args:
            last: Whether Labelme has ended, so that an unreadable file is an error rather than half written.

        Raises:
            FlawshotError: If a file cannot be read or written, or was changed in both places.
        """
        changed, self._settled = False, False
        for name, entry in self._files.items():
            try:
                content = file_bytes(self.place / name, ANNOTATION_BYTES)
            except FlawshotError as error:
                if isinstance(error.__cause__, FileNotFoundError):  # deleted in Labelme: the prediction stays as it was
                    continue
                raise
            digest = _hash(content)
            if digest == entry.written:
                continue
            document = _labelme_object(content)
            if document is None:
                if last:
                    raise FlawshotError(f"{self.place / name}: is not a Labelme file; {REMEDY}")
                continue
            self._files[name] = self._carry(name, entry, document, digest)
            changed = True
        if changed:
            self._save()
        self._settled = last

    def _carry(self, name: str, entry: _Entry, document: dict[str, Any], digest: str) -> _Entry:
        place = self.out / entry.annotation
        original = annotation_bytes(place, str(place))
        own, content = _labelme_object(original), b""
        if own is not None:
            content = json_bytes(own | {"shapes": document["shapes"], "flags": document.get("flags") or {}}, place)
        # Equal content was carried back by a call that was killed before it could record that.
        if own is None or (_hash(original) != entry.original and content != original):
            raise FlawshotError(
                f"{place}: was changed, and so was its copy {self.place / name}; it is not replaced; {REMEDY}"
            )
        write_bytes(place, content, overwrite=True)
        if entry.annotation not in self.carried:
            self.carried.append(entry.annotation)
        return entry.model_copy(update={"original": _hash(content), "written": digest})

    def _save(self) -> None:
        state = _State(format="flawshot-review", version=1, files=self._files)
        write_json(self.place / STATE, state.model_dump(mode="json"), overwrite=True)

    def strange(self) -> list[Path]:
        """Files that are neither copies of predictions nor the review's own: saved there by a person."""
        stems = {name.removesuffix(".json") for name in self._files}
        found = []
        for path in sorted(self.place.iterdir()):
            own = path.name in OWN or path.name in self._files or (path.name[0] == "." and path.suffix == ".tmp")
            # Without a state, filling the folder was interrupted: numbered files come from that.
            shown = path.suffix != ".json" and path.stem in stems
            if not (own or shown or (not self._files and NUMBERED.match(path.name))):
                found.append(path)
        return found

    def keep_lock(self) -> tuple[int, ...]:
        """The file descriptors that a child process must inherit to hold the lock too, if the system supports it."""
        return (self._lock.fileno(),) if os.name == "posix" else ()

    def _empty(self) -> None:
        try:
            if others := self.strange():
                raise FlawshotError(f"{others[0]}: is not a copy of a prediction; move it away")
            for path in self.place.iterdir():
                if path.name != ".lock":
                    path.unlink()
        except OSError as error:
            raise FlawshotError(f"{self.place}: cannot be emptied ({one_line(error)}); remove it") from error

    def close(self) -> None:
        """Release the lock; remove the folder if all changes are carried back and nothing else was saved there."""
        settled = self._settled and not self.strange()
        if settled:
            discard(self.place, self.out)
        self._lock.close()


def carry_back_left(out: Path) -> None:
    """Carry back the changes that an interrupted review left.

    Raises:
        FlawshotError: If a review is running, or a change cannot be carried back.
    """
    if (review_place(out) / STATE).is_file():
        ReviewFolder(out).close()


def _show(image: Path, name: Path, embedded: bytes | None) -> str:
    """Show an image under a name, by a link or else by a copy; return the name with its suffix."""
    if embedded is None and image.is_file():
        shown = name.with_name(f"{name.name}{image.suffix}")
        try:
            shown.symlink_to(image)
        except OSError:  # some systems allow links to privileged users only
            try:
                os.link(image, shown)
            except OSError:
                shutil.copyfile(image, shown)
        return shown.name
    if embedded is None:
        raise FlawshotError(f"is missing; name its folder with {argument('data')}")
    with open_image(embedded, "imageData") as opened:
        suffix = {"JPEG": ".jpg", "PNG": ".png", "BMP": ".bmp", "TIFF": ".tif"}.get(opened.format or "", ".png")
    shown = name.with_name(f"{name.name}{suffix}")
    write_bytes(shown, embedded)
    return shown.name


def _labelme_object(content: bytes) -> dict[str, Any] | None:
    try:
        document = labelme_object(content, "", [])
    except AnnotationError:
        return None
    if not isinstance(document["shapes"], list):
        return None
    for shape in document["shapes"]:
        if not isinstance(shape, dict) or not isinstance(shape.get("label"), str):
            return None
        if not isinstance(shape.get("points"), list):
            return None
    return document


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
