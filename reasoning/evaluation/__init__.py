"""Resumable runs, grading, statistics and reports."""
