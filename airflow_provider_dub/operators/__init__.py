"""Operators: tasks that change Dub."""
