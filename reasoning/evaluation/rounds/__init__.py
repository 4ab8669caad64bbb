"""Methods in rounds, round by round."""
