"""The user's warehouse: what differs there from what was last applied, and the state table that holds it."""
