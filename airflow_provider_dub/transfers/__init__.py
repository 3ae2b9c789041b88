"""Transfers: from an Airflow SQL connection to Dub."""
