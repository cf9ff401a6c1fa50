"""The arms of a comparison: the ways to use the data that are tried."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from deepfeast.transforms.deep_columns import BESIDE

BASELINE = "handcrafted"
COMPONENTS = 30
WORDS = 100
FORMS = ("columns", "probe", "pca", "raw")
# The forms of a feature, the one that speaks for it first.
MAIN_FORMS = ("columns", "probe", "pca+probe", "pca", "raw")
HOW = {
    "columns": (
        f"deep columns: the out-of-fold prediction of a ridge on it, its first {BESIDE} components "
        f"and, of a text, the same two of its words"
    ),
    "raw": "every number of the vector, which CatBoost takes whole, as an embedding feature",
    "pca": f"its first {COMPONENTS} principal components, numbers standardised before",
    "probe": "the out-of-fold prediction of a ridge on it",
    "pca+probe": "its components and the prediction of a ridge",
    "words": f"deep columns of its words, of TF-IDF in {WORDS} components",
}
_PARTS = {"columns": "probe+components+words"}


@dataclass(frozen=True)
class Arm:
    """One way to use the data: the handcrafted columns, and some blocks beside them.

    Parameters
    ----------
    name : str
        As printed, e.g. ``"+ description_vec"``.
    kind : {"baseline", "deep", "rival", "control", "alone"}
    features : tuple of str
        Deep features it uses; for a rival, the one whose text it reads.
    how : str
        One of `HOW`.
    """

    name: str
    kind: str
    features: tuple[str, ...] = ()
    how: str = ""

    @property
    def blocks(self) -> list[tuple[str, str]]:
        """The blocks of columns, as (feature, how)."""
        parts = [part for part in _PARTS.get(self.how, self.how).split("+") if part]
        return [(feature, part) for feature in self.features for part in parts]

    @property
    def label(self) -> str:
        """Name and representation, unique within a comparison."""
        return f"{self.name} ({self.how})" if self.how else self.name


def main_form(representations: Sequence[str]) -> str:
    """Return the form that is the main question about each feature."""
    return next(form for form in MAIN_FORMS if form in representations)


def plan_arms(
    features: Sequence[str],
    representations: Sequence[str] = FORMS,
    texts: Sequence[str] = (),
    *,
    control: bool = True,
    alone: bool = True,
    alternatives: Sequence[str] = (),
) -> list[Arm]:
    """List the arms: the baseline first, then each deep feature, all, the rivals, the control.

    Parameters
    ----------
    features, representations : sequence of str
    texts : sequence of str
        Deep features whose raw texts are at hand, for the rivals.
    control, alone : bool
    alternatives : sequence of str
        Features of `features` that stand in for another one: asked alone, and no part of all.

    >>> [arm.label for arm in plan_arms(["photo"], ["pca"], alone=False)]
    ['handcrafted', '+ photo (pca)', '+ photo, shuffled (pca)']
    """
    features = list(features)
    arms = [Arm(BASELINE, "baseline")]
    arms += [Arm(f"+ {one}", "deep", (one,), how) for one in features for how in representations]
    main = [one for one in features if one not in alternatives]
    if len(main) > 1:
        arms += [Arm("+ all", "deep", tuple(main), how) for how in representations]
    arms += [Arm(f"+ words of {text}", "rival", (text,), "words") for text in texts]
    if control:
        name = "+ all, shuffled" if len(main) > 1 else f"+ {main[0]}, shuffled"
        shuffled = tuple(f"shuffled:{one}" for one in main)
        arms.append(Arm(name, "control", shuffled, main_form(representations)))
    if alone:
        arms += [Arm(f"{one} alone", "alone", (one,), "probe") for one in features]
        if len(main) > 1:
            arms.append(Arm("all alone", "alone", tuple(main), "probe"))
    return arms
