"""A run side by side: its numbers, tables, pictures, TensorBoard."""
