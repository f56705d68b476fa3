"""Backups of the database: saved with what they have to hold, restored, and proven by a drill."""
