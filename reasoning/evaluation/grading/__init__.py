"""Is this answer right? A pool of processes that no answer can hang, kill or make execute anything."""
