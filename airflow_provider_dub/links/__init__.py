"""Extra links: from a task in Airflow's UI to Dub's app."""
