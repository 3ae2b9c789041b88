"""The Dub API as its server behaves. Knows no Airflow and no pandas."""
