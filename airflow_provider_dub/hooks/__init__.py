"""Hooks: connections to Dub."""
