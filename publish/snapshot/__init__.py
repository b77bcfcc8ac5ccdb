"""The SQLite snapshot: everything that is published, as one file that never changes."""
