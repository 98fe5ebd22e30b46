"""What a process needs to evaluate classifiers: the bank's evidence, opened once, and the estimators."""

from __future__ import annotations

import pickle
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from flawshot.bank.features import FeatureBank
from flawshot.base.arguments import argument
from flawshot.base.errors import FeatureBankError, FlawshotError
from flawshot.base.store.seals import hash_of
from flawshot.classifiers.base import Evidence, Support
from flawshot.regions.outlines import catalog_outlines

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from flawshot.classifiers.base import FewShotClassifier

__all__ = ["Access", "BankEvidence", "Workplace", "own_access", "sendable_access"]


class BankEvidence:
    """The evidence of a bank's instances for estimators: features, text features, and outlines, measured once.

    Args:
        bank: The features; its catalog provides the labels and outlines.
    """

    def __init__(self, bank: FeatureBank) -> None:
        self.bank = bank
        self._outlines: dict[str, NDArray[np.float32]] = {}

    @cached_property
    def _labels(self) -> list[str]:
        return self.bank.catalog.column("category")

    def support(self, product: str, ids: Sequence[str]) -> Support:
        """The support set of some instances of a product."""
        rows = self.bank.catalog.row_of
        named = [self._labels[rows[identifier]] for identifier in ids]
        evidence = self.of(ids)
        if self.bank.has_text:
            text = self.bank.text_features(product, sorted(set(named)))
            evidence = evidence._replace(text=text)
        # As objects, because numpy's strings drop trailing NUL characters.
        return Support(evidence, np.array(named, dtype=object))

    def of(self, ids: Sequence[str]) -> Evidence:
        """The evidence of some instances."""
        features = self.bank.features(ids)
        features.setflags(write=False)  # every classifier gets the same array
        return Evidence(features, outlines=self._outlines_of(ids))

    def _outlines_of(self, ids: Sequence[str]) -> NDArray[np.float32]:
        new = [identifier for identifier in ids if identifier not in self._outlines]
        self._outlines.update(zip(new, catalog_outlines(self.bank.catalog, new), strict=True))
        return np.stack([self._outlines[identifier] for identifier in ids])


class Workplace:
    """What a process needs to evaluate classifiers.

    Attributes:
        evidence: The bank's evidence.
        estimators: The classifiers, by name.
    """

    def __init__(
        self, evidence: BankEvidence, estimators: Mapping[str, FewShotClassifier], product: str, first: Sequence[str]
    ) -> None:
        """Combine the parts.

        Args:
            evidence: The bank's evidence.
            estimators: The classifiers, by name.
            product: The product of the first episode.
            first: Its support instances, on which estimators are tried.
        """
        self.evidence = evidence
        self.estimators = estimators
        self._product, self._first = product, first
        self._warm: set[str] = set()

    def warm_up(self, names: Iterable[str]) -> None:
        """Fit estimators and predict once, untimed, so that one-time work such as starting a GPU is not timed."""
        cold = [name for name in names if name not in self._warm]
        if not cold:
            return
        support = self.evidence.support(self._product, self._first)
        for name in cold:
            (fitted,) = self.estimators[name].fit_many([support])
            fitted.predict_evidence(support.evidence)
            self._warm.add(name)


class _StoredWork(NamedTuple):
    """From what a process makes its workplace.

    Attributes:
        path: The bank's folder.
        contents: Hash of the bank's manifest.
        estimators: The classifiers by name, pickled.
        product: The product of the first episode.
        first: Its support instances.
    """

    path: Path
    contents: str
    estimators: bytes
    product: str
    first: tuple[str, ...]


class Access:
    """Gives the workplace of the process that it is called in: there from the start, or opened once.

    Args:
        stored: From what other processes make theirs; None if only this process works.
        own: The workplace of this process, which stays here.
    """

    def __init__(self, stored: _StoredWork | None, own: Workplace | None = None) -> None:
        self._stored = stored
        self._own = own

    @property
    def own(self) -> Workplace:
        """The workplace of the process that made it."""
        if self._own is None:
            raise TypeError("this workplace stayed in the process that made it")
        return self._own

    def __call__(self) -> Workplace:
        """The workplace of this process.

        Raises:
            FlawshotError: If it cannot be opened in this process.
        """
        return self.own if self._stored is None or self._own is not None else _opened(self._stored)

    def __reduce__(self) -> tuple[type[Access], tuple[_StoredWork | None]]:
        """Leave this process's workplace here when pickled."""
        return type(self), (self._stored,)


def own_access(workplace: Workplace) -> Access:
    """Access to a workplace for this process only."""
    return Access(None, workplace)


def sendable_access(workplace: Workplace, product: str, first: Sequence[str]) -> Access:
    """Access to a workplace that may be sent to other processes, which open the bank themselves.

    Args:
        workplace: This process's workplace.
        product: The product of the first episode.
        first: Its support instances.

    Raises:
        FlawshotError: If an estimator cannot be pickled.
    """
    for name, estimator in workplace.estimators.items():
        try:
            _pickled({name: estimator})
        except Exception as error:  # estimators of others may raise anything
            reason = " ".join(str(error).split())[:200]
            raise FlawshotError(
                f"classifier {name!r}: cannot be sent to other processes ({reason}); use {argument('jobs', 1)}"
            ) from error
    bank = workplace.evidence.bank
    pickled = _pickled(workplace.estimators)
    return Access(_StoredWork(bank.path.absolute(), _contents(bank), pickled, product, tuple(first)), workplace)


def _pickled(estimators: Mapping[str, FewShotClassifier]) -> bytes:
    """Estimators as bytes; classes of a script or a notebook are included, those of installed packages named."""
    import joblib  # noqa: PLC0415 - few need it

    return pickle.dumps(joblib.wrap_non_picklable_objects(dict(estimators), keep_wrapper=False))


def _contents(bank: FeatureBank) -> str:
    return hash_of(bank.manifest.model_dump_json())


@lru_cache(maxsize=1)  # a process works for one evaluation at a time
def _opened(stored: _StoredWork) -> Workplace:
    bank = FeatureBank.open(stored.path, verify=False)
    if _contents(bank) != stored.contents:
        raise FeatureBankError(f"{stored.path}: was replaced while it was read; run the command again")
    try:
        estimators = pickle.loads(stored.estimators)  # noqa: S301 - of the process that started this one
    except Exception as error:  # what is imported may raise anything
        reason = " ".join(str(error).split())[:200]
        raise FlawshotError(
            f"the classifiers cannot be loaded in another process ({reason}); use {argument('jobs', 1)}"
        ) from error
    return Workplace(BankEvidence(bank), estimators, stored.product, stored.first)
