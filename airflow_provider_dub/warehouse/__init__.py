"""The user's warehouse: what differs there from what was last applied, and the state table that holds it."""

from importlib.util import find_spec

if find_spec("sqlglot") is None:  # where the DAG is parsed, rather than when the task runs
    raise ModuleNotFoundError(
        "What reads a warehouse needs the extra sql: pip install 'airflow-provider-dub[sql]'.", name="sqlglot"
    )
