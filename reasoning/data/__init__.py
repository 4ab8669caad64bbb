"""Tasks: where problems come from, one file each."""
