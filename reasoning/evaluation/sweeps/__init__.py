"""Methods of one run that differ in a setting: curves, and whether they obeyed."""
