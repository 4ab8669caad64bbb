"""Labels of steps out of completions: how often a prefix was still answered right, and what a model is taught of it.

soft        right / n                    the value of the prefix, for search (Snell et al. 2024, arXiv 2408.03314, appendix D)
hard        1 if any completion is right  for finding mistakes (Math-Shepherd, arXiv 2312.08935, section 3.3; threshold 0 as in
                                          arXiv 2501.07301, section 3.2)
consensus   hard, of responses where a second judge finds the first wrong step at the same place (ibid., section 3.1.3)
"""

from collections.abc import Sequence


def hard(right: Sequence[int]) -> list[bool]:
    """Whether any completion of each prefix was right, up to the first step of which none was; false from there on.

    A later prefix that is answered right again was lucky or corrected itself: the labels are of reasoning without a mistake.
    """
    wrong = first_error([count > 0 for count in right])
    return [wrong is None or step < wrong for step in range(len(right))]


def first_error(labels: Sequence[bool]) -> int | None:
    """Index of the first wrong step, None if there is none."""
    return next((step for step, label in enumerate(labels) if not label), None)


def consensus(right: Sequence[int], verdicts: Sequence[bool]) -> list[bool] | None:
    """`hard` labels if `verdicts` of another judge, one a step, put the first mistake at the same step; else None."""
    ours = hard(right)
    return ours if first_error(ours) == first_error(verdicts) else None
