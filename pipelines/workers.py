"""Workers that stay: a pool for Beam's external environment that keeps its networks between jobs.

An engine such as Flink, Spark or Prism asks the pool beside it for a worker each time it begins a
job. Beam's own pool starts a process then, which imports torch and loads the networks anew; here
the worker is a thread of this process, which has both. It runs in the Python that started it,
whatever stands first on the path.
"""

from __future__ import annotations

import logging
import threading
from concurrent.futures import ThreadPoolExecutor

import grpc
from apache_beam.portability.api import beam_fn_api_pb2 as api
from apache_beam.portability.api import beam_fn_api_pb2_grpc as service

from deepfeast.transforms.errors import WorkerError

log = logging.getLogger(__name__)
# Requests to start or stop a worker, not workers: each of those has a thread of its own.
REQUESTS = 4


class Pool(service.BeamFnExternalWorkerPoolServicer):
    """Starts workers as threads, for whoever asks."""

    def StartWorker(  # noqa: N802
        self, request: api.StartWorkerRequest, context: grpc.ServicerContext
    ) -> api.StartWorkerResponse:
        """Start a worker that takes its orders from the endpoint given, until that closes."""
        # Its import changes the process's warnings: a pool's own, and nobody else's.
        from apache_beam.runners.worker.sdk_worker import SdkHarness

        where = request.control_endpoint.url
        try:
            # Two engines may give their workers one name: nothing here depends on it.
            worker = SdkHarness(where, worker_id=request.worker_id)
        except grpc.FutureTimeoutError:
            return api.StartWorkerResponse(error=f"nobody answers at {where}")
        log.info(f"worker {request.worker_id} works for {where}")
        threading.Thread(target=worker.run, name=request.worker_id, daemon=True).start()
        return api.StartWorkerResponse()

    def StopWorker(  # noqa: N802
        self, request: api.StopWorkerRequest, context: grpc.ServicerContext
    ) -> api.StopWorkerResponse:
        """Agree: a worker ends by itself when the engine hangs up."""
        return api.StopWorkerResponse()


def serve(address: str = "localhost:50000") -> tuple[grpc.Server, int]:
    """Open a pool; return its server, and the port, which may be asked for as 0.

    Raises
    ------
    WorkerError
        If the address cannot be listened at.
    """
    # As Beam's own pool: engines ping it for as long as a job lasts, and that is no attack.
    options = [("grpc.http2.max_pings_without_data", 0), ("grpc.http2.max_ping_strikes", 0)]
    # Two pools at one port would each get some of the requests.
    options.append(("grpc.so_reuseport", 0))
    server = grpc.server(ThreadPoolExecutor(REQUESTS), options=options)
    service.add_BeamFnExternalWorkerPoolServicer_to_server(Pool(), server)
    try:
        port = server.add_insecure_port(address)
    except RuntimeError as error:
        raise WorkerError(
            f"the pool cannot listen at {address}: {error}. Another may run there; name another "
            f"port, and the same in --environment_config."
        ) from error
    server.start()
    return server, port
