"""What a Dub customer is: its fields, its ids, and how a cell becomes a value. Imports nothing else of this package."""
