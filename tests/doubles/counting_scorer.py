"""A scorer by the dotted name of its module: it likes short responses, in as many steps as a response has words."""

from reasoning.rewards.responses import Judge, Reading


def judge(engine, name="counting"):
    """Costs 5 tokens a question and one for each of the response's, 100 FLOPs each."""

    def read(candidates):
        for one in candidates:
            size = len(one.tokens)
            scores = [1 / (size + k) for k in range(len(one.text.split()))]
            yield one, Reading(tuple(reversed(scores)), 5, size, 500.0, 100.0 * size)

    return Judge(name, read)
