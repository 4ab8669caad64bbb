"""One file per paper; each returns a `Method`."""
