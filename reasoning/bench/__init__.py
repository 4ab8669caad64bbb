"""Speed: ours against other programs, against static batches, against the machine, and what each stage costs."""
