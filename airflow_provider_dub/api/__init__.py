"""The Dub API as its server behaves. Knows no pandas, and of Airflow only the root of the exceptions."""

#: Where Dub's public API is.
DEFAULT_BASE_URL = "https://api.dub.co"
#: Seconds for one request and its whole response.
DEFAULT_TIMEOUT = 30.0
#: Retries of one request after a transient failure.
DEFAULT_MAX_RETRIES = 5
