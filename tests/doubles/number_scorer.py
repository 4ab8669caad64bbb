"""A scorer that likes large numbers: the score of a response is the number that it gives as its answer."""

from reasoning.rewards.responses import Judge, Reading
from reasoning.text.answers import extract

SEEN = None  # a list, where a test wants to see the candidates


def judge(engine, name="number"):
    """Reads 7 tokens of each response and 3 of its question, a FLOP a token."""

    def read(candidates):
        if SEEN is not None:
            SEEN.extend(candidates)
        for one in candidates:
            yield one, Reading((float(extract(one.text) or -1.0),), 3, 7, 3.0, 7.0)

    return Judge(name, read)
