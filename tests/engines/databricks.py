"""Databricks SQL, for which Spark stands in: its Thrift server, with tables of Iceberg, which take any DML."""

from __future__ import annotations

import base64
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.engines.servers import running
from tests.engines.stand_ins import StandIn

#: What Spark reads from a token without checking it: a name and a password.
_TOKEN = base64.b64encode(b"user:password").decode()
#: Code that is compiled quickly rather than well.
_QUICK_JAVA = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
#: The newest protocol that Spark's server speaks.
_HIVE_V8 = 7


@pytest.fixture(scope="session")
def spark(tmp_path_factory) -> Iterator[int]:
    """The port of a Thrift server of this session, with a schema."""
    pyspark = pytest.importorskip("pyspark")
    folder = tmp_path_factory.mktemp("spark")
    (folder / "warehouse" / "crm").mkdir(parents=True)

    def start(port: int) -> list[str]:
        settings = _settings(port, folder)
        return [
            f"{Path(pyspark.__file__).parent}/bin/spark-submit",
            *(word for name, value in settings.items() for word in ("--conf", f"{name}={value}")),
            *("--class", "org.apache.spark.sql.hive.thriftserver.HiveThriftServer2", "spark-internal"),
        ]

    with running(start, folder / "log", os.environ | {"SPARK_LOCAL_IP": "127.0.0.1"}, folder) as port:
        yield port


def _settings(port: int, folder: Path) -> dict[str, object]:
    import snowpark_connect_deps_iceberg

    (iceberg,) = Path(snowpark_connect_deps_iceberg.__file__).parent.rglob("iceberg-spark-runtime-*_2.12-*.jar")
    catalog = "spark.sql.catalog.tables"
    return {
        "spark.master": "local[2]",
        "spark.driver.memory": "1g",
        "spark.driver.extraClassPath": iceberg,
        "spark.driver.extraJavaOptions": f"{_QUICK_JAVA} -Dderby.stream.error.file={folder}/derby.log",
        "spark.hadoop.javax.jdo.option.ConnectionURL": "jdbc:derby:memory:metastore;create=true",
        "spark.hadoop.hive.server2.transport.mode": "http",
        "spark.hadoop.hive.server2.thrift.http.port": port,
        "spark.hadoop.hive.server2.thrift.bind.host": "127.0.0.1",
        "spark.sql.extensions": "org.apache.iceberg.spark.extensions.IcebergSparkSessionExtensions",
        catalog: "org.apache.iceberg.spark.SparkCatalog",
        f"{catalog}.type": "hadoop",
        f"{catalog}.warehouse": folder / "warehouse",
        f"{catalog}.default-namespace": "crm",
        f"{catalog}.cache-enabled": "false",  # a session has to see what another one has written
        f"{catalog}.table-default.write.distribution-mode": "none",
        f"{catalog}.table-default.write.format.default": "avro",
        "spark.sql.defaultCatalog": "tables",
        # A few rows: no time for what makes many quick.
        "spark.sql.shuffle.partitions": 1,
        "spark.sql.adaptive.enabled": "false",
        "spark.sql.codegen.wholeStage": "false",
        "spark.ui.enabled": "false",
    }


@pytest.fixture(name="databricks")
def databricks_database(spark, monkeypatch) -> StandIn:
    """A schema in Spark, through Airflow's hook and Databricks' connector."""
    _speak_with_spark(monkeypatch)
    extra = {
        "http_path": "cliservice",
        "_connection_uri": f"http://127.0.0.1:{spark}/cliservice",
        "enable_telemetry": False,
        "use_cloud_fetch": False,
        "use_inline_params": "silent",  # the server binds none
    }
    return StandIn("databricks", conn_type="databricks", host="http://127.0.0.1", password=_TOKEN, extra=extra)


def _speak_with_spark(monkeypatch) -> None:
    """Let the connector ask for Spark's protocol, which leaves out what Databricks added to it."""
    from databricks.sql.backend import thrift_backend
    from databricks.sql.thrift_api.TCLIService import ttypes

    columns = ttypes.TSparkRowSetType.COLUMN_BASED_SET
    open_session = ttypes.TOpenSessionReq.__init__

    def request(self, *arguments: Any, **named: Any) -> None:
        open_session(self, *arguments, **named)
        self.client_protocol = _HIVE_V8

    def then(kind: type, complete) -> None:
        read = kind.read

        def read_and_complete(self, protocol) -> None:
            read(self, protocol)
            complete(self)

        monkeypatch.setattr(kind, "read", read_and_complete)

    def metadata(found) -> None:
        found.resultFormat = columns if found.resultFormat is None else found.resultFormat
        found.lz4Compressed = bool(found.lz4Compressed)

    def rows(found) -> None:
        if found.resultSetMetadata is None:
            found.resultSetMetadata = ttypes.TGetResultSetMetadataResp(resultFormat=columns, lz4Compressed=False)
        if found.results is not None and found.results.columns is None:
            found.results.columns = []

    monkeypatch.setattr(ttypes.TOpenSessionReq, "__init__", request)
    monkeypatch.setattr(thrift_backend.ThriftDatabricksClient, "_check_protocol_version", lambda self, response: None)
    then(ttypes.TGetResultSetMetadataResp, metadata)
    then(ttypes.TFetchResultsResp, rows)
