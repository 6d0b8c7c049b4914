"""Audits held against the truth: a grid of generated scenes in which every cause is known."""
