"""Audits of real photographs, described in docs/real-data.md."""
