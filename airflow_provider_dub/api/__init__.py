"""The Dub API as its server behaves. Knows no pandas, and of Airflow only the root of the exceptions."""

#: Where Dub's public API is.
DEFAULT_BASE_URL = "https://api.dub.co"
