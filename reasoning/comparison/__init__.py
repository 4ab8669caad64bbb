"""Methods compared at equal cost on one model and task: curves, crossings, and a page to read them on."""
