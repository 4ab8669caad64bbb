"""Every method on one model, the same problems, grader and cost axes: curves, crossings, difficulty, choice, and their report."""
