"""Apache Airflow provider for Dub: customer rows from a warehouse become updates of Dub's customers."""

__version__ = "0.1.0"
