"""What a run read and wrote, told to whoever collects lineage: OpenLineage events.

Where they go, to a file or a server, is for `openlineage-python` and its own configuration to say
(``OPENLINEAGE_URL``, ``openlineage.yml``). Where it is not installed, or not configured, nothing is
told. A collector that does not answer stops no run.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

log = logging.getLogger(__name__)
PRODUCER = "urn:deepfeast"
ENCODERS = f"{PRODUCER}:encoders"


@dataclass(frozen=True)
class Column:
    """Where a column of a data set comes from.

    Attributes
    ----------
    source : Data
    name : str
        Of the column there.
    how : str
        ``"IDENTITY"`` or ``"TRANSFORMATION"``.
    what : str
        The transformation in words, e.g. the encoder.
    fingerprint : str
        Of the encoder; empty where there is none.
    """

    source: Data
    name: str
    how: str = "IDENTITY"
    what: str = ""
    fingerprint: str = ""


@dataclass(frozen=True)
class Data:
    """A data set.

    Attributes
    ----------
    uri : str
        A path, or a URI.
    columns : dict of str to Column
        By name, where each column comes from.
    rows, size : int or None
        What was written: rows and bytes.
    """

    uri: str
    columns: dict[str, Column] = field(default_factory=dict)
    rows: int | None = None
    size: int | None = None

    def named(self) -> tuple[str, str]:
        """Return namespace and name, as OpenLineage has it for files and object stores.

        >>> Data("s3://shop/raw.parquet").named(), Data("/data/raw.parquet").named()
        (('s3://shop', 'raw.parquet'), ('file', '/data/raw.parquet'))
        """
        scheme, separator, rest = self.uri.partition("://")
        if not separator or scheme == "file":
            return "file", rest or str(Path(self.uri).absolute())
        place, _, name = rest.partition("/")
        return f"{scheme}://{place}", name or "/"


@contextmanager
def told(
    project: str, job: str, inputs: Sequence[Data], outputs: Callable[[], Sequence[Data]]
) -> Iterator[None]:
    """Tell that a job starts, and how it ends.

    Parameters
    ----------
    project : str
        Of the Feast repo: the namespace of its jobs.
    job : str
        E.g. ``"embed.listing_deep"``.
    inputs : sequence of Data
    outputs : callable
        Returns what was written; asked at the end.
    """
    client = _client()
    if client is None:
        yield
        return
    tell = _Teller(client, project, job, inputs)
    tell("START", [])
    try:
        yield
    except KeyboardInterrupt:
        tell("ABORT", [])
        raise
    except BaseException as error:
        tell("FAIL", [], error)
        raise
    tell("COMPLETE", outputs())


def _client() -> Any:
    """Open a client where OpenLineage is installed and configured."""
    try:
        from openlineage.client import OpenLineageClient
        from openlineage.client.transport.noop import NoopConfig, NoopTransport
    except ImportError:
        return None
    disabled = logging.root.manager.disable
    # It says which transport it chose, each time.
    logging.disable(logging.WARNING)
    try:
        config = OpenLineageClient(transport=NoopTransport(NoopConfig())).config
        chosen = bool(config.transport and config.transport.get("type"))
        # Without any configuration a client would print events on the terminal.
        return OpenLineageClient() if chosen or os.environ.get("OPENLINEAGE_URL") else None
    finally:
        logging.disable(disabled)


class _Teller:
    """One run of a job, as events."""

    def __init__(self, client: Any, project: str, job: str, inputs: Sequence[Data]):
        from openlineage.client.event_v2 import Job
        from openlineage.client.uuid import generate_new_uuid

        self.client, self.inputs = client, inputs
        self.run_id = str(generate_new_uuid())
        self.job = Job(namespace=project, name=job)

    def __call__(
        self, kind: str, outputs: Sequence[Data], error: BaseException | None = None
    ) -> None:
        from openlineage.client import event_v2 as ol
        from openlineage.client.facet_v2 import error_message_run

        facets: dict[str, Any] = {}
        if error is not None:
            facets["errorMessage"] = error_message_run.ErrorMessageRunFacet(
                message=f"{type(error).__name__}: {error}", programmingLanguage="python"
            )
        event = ol.RunEvent(
            eventTime=datetime.now(timezone.utc).isoformat(),
            producer=PRODUCER,
            eventType=ol.RunState[kind],
            run=ol.Run(runId=self.run_id, facets=facets),
            job=self.job,
            inputs=[ol.InputDataset(*data.named()) for data in self.inputs],
            outputs=[_output(data) for data in outputs],
        )
        try:
            self.client.emit(event)
        except (OSError, RuntimeError) as fault:
            log.warning(f"lineage: the event {kind} was not taken: {fault}")


def _output(data: Data) -> Any:
    from openlineage.client import event_v2 as ol
    from openlineage.client.facet_v2 import column_lineage_dataset as lineage
    from openlineage.client.facet_v2 import output_statistics_output_dataset as statistics
    from openlineage.client.facet_v2 import schema_dataset

    facets: dict[str, Any] = {}
    if data.columns:
        facets["schema"] = schema_dataset.SchemaDatasetFacet(
            fields=[schema_dataset.SchemaDatasetFacetFields(name=name) for name in data.columns]
        )
        facets["columnLineage"] = lineage.ColumnLineageDatasetFacet(
            fields={name: _field(column, lineage) for name, column in data.columns.items()}
        )
    made = {
        name: {"encoder": column.what, "fingerprint": column.fingerprint}
        for name, column in data.columns.items()
        if column.fingerprint
    }
    if made:
        facets["deepfeast_encoders"] = _encoders(made)
    written: dict[str, Any] = {}
    if data.rows is not None:
        written["outputStatistics"] = statistics.OutputStatisticsOutputDatasetFacet(
            rowCount=data.rows, size=data.size
        )
    return ol.OutputDataset(*data.named(), facets=facets, outputFacets=written)


def _field(column: Column, lineage: Any) -> Any:
    namespace, name = column.source.named()
    how = lineage.Transformation(type="DIRECT", subtype=column.how, description=column.what)
    source = lineage.InputField(namespace, name, column.name, [how])
    return lineage.Fields(inputFields=[source])


def _encoders(made: dict[str, dict[str, str]]) -> Any:
    """Make the facet of our own: which encoder made each vector."""
    import attr
    from openlineage.client.facet_v2 import DatasetFacet

    @attr.define
    class EncodersDatasetFacet(DatasetFacet):
        encoders: dict[str, dict[str, str]]

        @staticmethod
        def _get_schema() -> str:
            return ENCODERS

    return EncodersDatasetFacet(made, producer=PRODUCER)
