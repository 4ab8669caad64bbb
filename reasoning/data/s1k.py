"""The columns of s1's published data sets (Muennighoff et al. 2025, arXiv 2501.19393) as the fields of a trace.

    simplescaling/s1K     question, solution, cot_type, source_type, metadata, cot, thinking_trajectories [text], attempt
    simplescaling/s1K-1.1 the same, but for gemini_ and deepseek_ each: …_thinking_trajectory, …_attempt, …_grade, …_grade_reason

data_ablation_full59K, the pool before the funnel, has the columns of s1K. A grade ("Yes" or "No") says whether the attempt is
right; earlier revisions have none. Rows have no id, and neither set says the domain that its selection drew from: `domain` is
cot_type (math, crossword, science).

s1K-1.1 is read as it stands today, "main". Who wants the same rows next year pins a commit, which the hub lists as the history
of its files: hf:simplescaling/s1K-1.1@<40 hexadecimal digits>, wherever a set is named (`read_traces`, a pool's `sources`). No
other is then read.
"""

from collections.abc import Mapping
from typing import Any

from reasoning.data.hub import Source
from reasoning.errors import InputError

SOURCES = {
    "simplescaling/s1K": Source("simplescaling/s1K", "d070fdb085608970b8388905c78045b1f84085dc", "train"),
    # Grades came with a later revision than any whose full name is known here, so none is pinned; the docstring says how to.
    "simplescaling/s1K-1.1": Source("simplescaling/s1K-1.1", "main", "train"),
}
TEACHERS = ("deepseek", "gemini")  # whose thinking, where a row has both
SHARED = ("question", "solution", "cot_type", "source_type")
S1K = (*SHARED, "thinking_trajectories", "attempt")
S1K11 = (*SHARED, *(f"{teacher}_{part}" for teacher in TEACHERS for part in ("thinking_trajectory", "attempt")))


def fields(row: Mapping[str, Any], teacher: str) -> dict[str, Any]:
    """The fields of a trace, its id aside, out of a row with the columns `S1K` or `S1K11`; all other columns are its metadata.

    metadata["correct"] is True or False where the row has a grade. Raises InputError for an unknown teacher.
    """
    if "thinking_trajectories" in row:
        thinking, answer, grade = "thinking_trajectories", "attempt", ""
    elif teacher in TEACHERS:
        thinking, answer, grade = (f"{teacher}_{part}" for part in ("thinking_trajectory", "attempt", "grade"))
    else:
        raise InputError(f"teacher is {teacher!r}, but the thinking is that of {' or '.join(TEACHERS)}; choose one")
    rest = {name: value for name, value in row.items() if name not in (*SHARED, thinking, answer)}
    if row.get(grade):
        rest["correct"] = str(row[grade]).strip().lower().startswith("yes")
    return {
        "question": row["question"],
        "thinking": _joined(row[thinking]),
        "answer": _joined(row[answer]),
        "reference": row["solution"] or "",
        "source": row["source_type"] or "",
        "domain": row["cot_type"] or "",
        "metadata": rest,
    }


def _joined(value: Any) -> Any:
    """The parts of a list (there is one in every published row), "" for nothing."""
    if isinstance(value, list):
        return "\n\n".join(part for part in value if part)
    return "" if value is None else value
