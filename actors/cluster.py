"""The local Ray cluster that a run starts and ends, or the running one that it joins."""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gammaray.operations.errors import ConfigurationError
from gammaray.operations.settings import ClusterSettings, ServeSettings

MIN_FREE_MEMORY_MB = 2_000
# Unix socket paths end at 107 bytes, and Ray adds about 65 to this folder.
_TEMPORARY_ROOT = "/tmp"


@dataclass(frozen=True, slots=True)
class Cluster:
    """A cluster this process is connected to. `owned` says that this process started it and must end it."""

    address: str
    dashboard_url: str
    namespace: str
    owned: bool
    temporary: Path | None = None

    def close(self) -> None:
        """Disconnect; end the processes of an owned cluster, and only those."""
        import ray

        ray.shutdown()
        if self.temporary is not None:
            shutil.rmtree(self.temporary, ignore_errors=True)


def free_ports(count: int, host: str = "127.0.0.1") -> list[int]:
    """Ports that were free a moment ago, all different."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind((host, 0))
        return [int(each.getsockname()[1]) for each in sockets]
    finally:
        for each in sockets:
            each.close()


def require_free_port(host: str, port: int, name: str) -> None:
    """Raise ConfigurationError, naming the setting, when something listens on the port already."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise ConfigurationError(
                f"{name}: port {port} on {host} is in use ({error.strerror}); choose another"
            ) from None


def choose_port(host: str, wanted: int, others: Sequence[int] = ()) -> int:
    """`wanted` when it is free, else a free one: for ports that only this run's own messages name."""
    try:
        require_free_port(host, wanted, "port")
    except ConfigurationError:
        return next(port for port in free_ports(len(others) + 1, host) if port not in others)
    return wanted


def serve_environment(serve: ServeSettings, scratch: Path) -> dict[str, str]:
    """Variables that Ray Serve reads at its start, on every node: the HAProxy ingress with ports and files of its own."""
    environment = {"RAY_SERVE_REQUEST_LATENCY_BUCKETS_MS": "0.5,1,2,5,10,20,50,100,500,1000,5000"}
    if not serve.haproxy:
        # Said outright: this process may have started another cluster before, and children inherit its variables.
        return environment | {"RAY_SERVE_ENABLE_HA_PROXY": "0", "RAY_SERVE_THROUGHPUT_OPTIMIZED": "0"}
    stats, metrics, fallback_http, fallback_grpc = free_ports(4)
    return environment | {
        "RAY_SERVE_ENABLE_HA_PROXY": "1",
        "RAY_SERVE_THROUGHPUT_OPTIMIZED": "1",
        "RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S": "1",
        "RAY_SERVE_HAPROXY_NBTHREAD": "1",
        "RAY_SERVE_HAPROXY_STATS_PORT": str(stats),
        "RAY_SERVE_HAPROXY_METRICS_PORT": str(metrics),
        "RAY_SERVE_FALLBACK_PROXY_HTTP_PORT": str(fallback_http),
        "RAY_SERVE_FALLBACK_PROXY_GRPC_PORT": str(fallback_grpc),
        "RAY_SERVE_HAPROXY_CONFIG_FILE_LOC": str(scratch / "haproxy.cfg"),
        "RAY_SERVE_HAPROXY_SOCKET_PATH": str(scratch / "admin.sock"),
        "RAY_SERVE_HAPROXY_METRICS_SOCKET_PATH": str(scratch / "metrics.sock"),
        "RAY_SERVE_HAPROXY_SERVER_STATE_BASE": str(scratch),
        "RAY_SERVE_HAPROXY_SERVER_STATE_FILE": str(scratch / "server-state"),
    }


def _worker_environment() -> dict[str, str]:
    project = str(Path(__file__).resolve().parent.parent)
    path = os.environ.get("PYTHONPATH", "")
    return {
        # A worker that each takes all cores makes two cores thrash (speed.md, rule 6).
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "NUMBA_NUM_THREADS": "1",
        "PYTHONPATH": project if not path else f"{project}{os.pathsep}{path}",
        "NO_PROXY": "127.0.0.1,localhost",
        "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
        "RAY_gcs_server_request_timeout_seconds": "30",
        "RAY_raylet_start_wait_time_s": "60",
        # A run ends in seconds: replicas and actors get a short grace.
        "RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S": "3",
        "RAY_DEDUP_LOGS": "0",
        # Ray runs workers at nice 15; these trade, and must not wait for whatever else the machine does.
        "RAY_worker_niceness": "0",
        "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    }


def _free_memory_mb() -> int:
    import psutil

    return int(psutil.virtual_memory().available // 2**20)


def connect(cluster: ClusterSettings, serve: ServeSettings) -> Cluster:
    """Join the cluster at `cluster.address`, or the one that started this job, or start a local one.

    Raises ConfigurationError in one line when the memory or a port is missing, or when no cluster answers at the address.
    """
    address = cluster.address or os.environ.get("RAY_ADDRESS")
    if address is None:
        return _start_local(cluster, serve)
    import ray

    try:
        context = ray.init(address=address, namespace=cluster.namespace, log_to_driver=False)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise ConfigurationError(f"cluster.address: no Ray cluster answers at {address}: {error}") from None
    return Cluster(context.address_info["gcs_address"], _dashboard_url(context), cluster.namespace, owned=False)


def _start_local(cluster: ClusterSettings, serve: ServeSettings) -> Cluster:
    free = _free_memory_mb()
    if free < MIN_FREE_MEMORY_MB:
        raise ConfigurationError(f"memory: {free} MB are free, a local cluster needs {MIN_FREE_MEMORY_MB}")
    temporary = Path(tempfile.mkdtemp(prefix="gray-", dir=_TEMPORARY_ROOT))
    os.environ.setdefault("RAY_AUTH_MODE", "disabled")  # a cluster of one machine that listens on loopback only
    os.environ.update(_worker_environment())
    os.environ.update(serve_environment(serve, temporary))
    import ray

    try:
        context = ray.init(
            num_cpus=cluster.num_cpus,
            namespace=cluster.namespace,
            include_dashboard=True,
            _node_ip_address="127.0.0.1",
            dashboard_host="127.0.0.1",
            dashboard_port=choose_port("127.0.0.1", cluster.dashboard_port),
            object_store_memory=cluster.object_store_mb * 2**20,
            log_to_driver=False,
            logging_level="ERROR",
            _temp_dir=str(temporary),
        )
    except (OSError, RuntimeError, ValueError) as error:
        shutil.rmtree(temporary, ignore_errors=True)
        raise ConfigurationError(f"cluster: Ray did not start: {error}") from None
    return Cluster(
        context.address_info["gcs_address"], _dashboard_url(context), cluster.namespace, owned=True, temporary=temporary
    )


def _dashboard_url(context: object) -> str:
    url = getattr(context, "dashboard_url", "") or ""
    return f"http://{url}" if url and not url.startswith("http") else url
