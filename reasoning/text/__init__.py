"""Text ↔ ids, chat templates, and strings compiled to tables."""
