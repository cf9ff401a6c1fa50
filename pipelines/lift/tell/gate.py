"""A verdict as a gate: what CI asks before a feature may stay."""

from __future__ import annotations

from typing import TYPE_CHECKING

from deepfeast.pipelines.lift.tell.words import findings, headline

if TYPE_CHECKING:
    from deepfeast.pipelines.lift.measure.comparison import Comparison


def shortfall(comparison: Comparison, least: float | None = None) -> str:
    """Say what is lacking for "deep features help"; nothing where they do.

    Parameters
    ----------
    comparison : Comparison
    least : float, optional
        The mean gain, in the metric, that what helps most must have.

    Returns
    -------
    str
        Empty where a deep feature, or all together, helps one of the models by as much.
    """
    gains = {
        (one.feature, one.model): one.outcome.lift.mean
        for one in findings(comparison)
        if one.word == "helps" and one.outcome and one.outcome.lift
    }
    if not gains:
        return f"required: helps. {headline(comparison)}"
    (feature, model), gain = max(gains.items(), key=lambda item: item[1])
    if least is None or gain >= least:
        return ""
    metric = comparison.problem.metric_word
    return (
        f"required: a gain of {least:g} in {metric}. {feature}: {gain:.4g} for {model}, which is "
        f"the largest. {headline(comparison)}"
    )
