"""End-to-end tests run on three nodes, too, unless they are about one process or one machine."""

from twisted.trial.unittest import SynchronousTestCase

from tests.support.real.gateway import ROOT
from tests.support.real.three_nodes import ThreeNodesTestCase
from tests.support.real.upstreams import UpstreamTestCase

# Tests that begin with these are end-to-end tests.
_UPSTREAMS = f"from {UpstreamTestCase.__module__} import"

# The modules whose tests need one gateway, and why.
ONE_GATEWAY = {
    "test_bad_peers": "peers of the gateway's own port, without Nginx between",
    "test_busy_workers": "the workers of one PHP-FPM, and the concurrency of one gateway",
    "test_check": "one gateway, its machine and its PHP",
    "test_clock_is_set": "the clock of a machine",
    "test_console": "one gateway's page, and its own events",
    "test_crowd": "the memory of a process; test_cluster_deaths has crowds of three",
    "test_fair_share": "the turns at PHP of one gateway: each has its own",
    "test_faults": "crashes of what is around a gateway; test_cluster_deaths has those of nodes",
    "test_freed": "the memory of a process",
    "test_hostile_frames": "bytes to the gateway's own port, without Nginx between",
    "test_log_flood": "the log of a process",
    "test_never_reads": "the memory of a process, and its own ports",
    "test_nginx": "Nginx between a gateway and PHP",
    "test_open_files": "the descriptors of a process",
    "test_php_fpm": "what one gateway makes of a PHP-FPM, and its own PHP-FPM",
    "test_php_probe": "the readiness of one gateway",
    "test_php_trouble": "the circuit breaker, holds and own PHP-FPM of one gateway",
    "test_ports": "the ports of a process",
    "test_prometheus": "the metrics of one gateway",
    "test_proxies": "proxies before one gateway, each with its own configuration",
    "test_restarts": "stops and restarts of a process",
    "test_slow_consumers": "the memory of a process",
    "test_starting": "the start of a process",
    "test_upstream_leases": "gateways that share upstreams already",
    "test_upstreams": "upstreams of one gateway; test_upstream_leases has those of several",
    "test_trying_out": "the gateway's own page",
    "test_workers": "workers, which are nodes themselves",
}


class ThreeNodesTests(SynchronousTestCase):
    def test_each_module(self) -> None:
        """Whoever adds end-to-end tests runs them on three nodes, or says why not."""
        texts = {each.stem: each.read_text() for each in (ROOT / "tests/system").glob("test_*.py")}
        with_one = {
            name
            for name, text in texts.items()
            if _UPSTREAMS in text and ThreeNodesTestCase.__name__ not in text
        }
        self.assertEqual(set(ONE_GATEWAY), with_one)
