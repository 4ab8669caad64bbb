"""Honest statistics: intervals over problems, paired differences, power, crossings, metrics of samples and of steps."""
