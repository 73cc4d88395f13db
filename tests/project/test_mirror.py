"""Each module of the package has its tests, and they are where a reader looks for them."""

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

ROOT = Path(__file__).resolve().parents[2]

# Modules that the tests of others cover, by their room: the module, and where its tests are.
TESTED_ELSEWHERE = {
    "api/batch": "unit/api/test_commands",
    "api/feed": "unit/feed/test_viewer",
    "api/proxy_signs": "unit/api/test_access",
    "api/routes": "unit/api/test_openapi",
    "backend/errors": "unit/relay/test_relay",
    "backend/event": "unit/backend/test_form",
    "backend/fastcgi/abandoned": "unit/backend/fastcgi/test_exchange",
    "backend/fastcgi/worker_shortage": "unit/backend/fastcgi/test_pool",
    "backend/fpm/manager": "system/test_fpm",
    "backend/fpm/process": "system/test_fpm",
    "backend/http/agent": "unit/backend/http/test_backend",
    "backend/http/head": "unit/backend/http/test_connection",
    "backend/http/parser": "unit/backend/http/test_connection",
    "backend/http/prepared": "unit/backend/http/test_backend",
    "backend/interface": "unit/backend/fastcgi/test_backend",
    "backend/reply": "unit/backend/fastcgi/test_exchange",
    "backend/upstream": "unit/backend/test_selection",
    "bus/connect_errors": "unit/bus/test_link",
    "bus/names": "unit/bus/test_link",
    "bus/own_engine/manager": "system/test_own_engine",
    "bus/own_engine/process": "system/test_own_engine",
    "bus/own_engine/program": "system/test_own_engine",
    "bus/probe": "unit/bus/test_link",
    "bus/redis_bus": "unit/bus/test_link",
    "bus/selection": "system/test_bus",
    "bus/state": "project/test_metric_names",
    "checks/gateway": "unit/cli/test_check",
    "checks/php_ini": "system/test_check",
    "checks/php_status": "system/test_check",
    "checks/script_refusals": "unit/checks/test_php_script",
    "cli/__main__": "system/test_starting",
    "cli/apache": "unit/cli/test_sample_command",
    "cli/caddy": "unit/cli/test_sample_command",
    "cli/haproxy": "unit/cli/test_sample_command",
    "cli/site_command": "unit/cli/test_sample_command",
    "cli/supervisor": "unit/cli/test_systemd",
    "cli/command": "unit/cli/test_main",
    "cluster/channels": "unit/cluster/test_exchange",
    "cluster/command_codec": "unit/cluster/test_dispatcher",
    "cluster/fence": "unit/cluster/test_exchange",
    "cluster/hub": "unit/cluster/test_dispatcher",
    "cluster/incoming": "unit/cluster/test_exchange",
    "cluster/keys": "unit/cluster/test_membership",
    "cluster/list_run": "unit/cluster/test_dispatcher",
    "cluster/members": "unit/cluster/test_membership",
    "cluster/node": "system/test_cluster",
    "cluster/outgoing": "unit/cluster/test_exchange",
    "cluster/page_codec": "unit/cluster/test_directory",
    "cluster/page_merge": "unit/cluster/test_directory",
    "cluster/pending_ask": "unit/cluster/test_exchange",
    "cluster/recorded_clients": "unit/cluster/test_ledger",
    "cluster/remote_commands": "unit/cluster/test_dispatcher",
    "cluster/routes": "unit/cluster/test_dispatcher",
    "console/logins": "unit/console/test_login",
    "console/routes": "unit/console/test_static_files",
    "cluster/history_scripts": "system/test_engine_history",
    "history/observables": "unit/test_gateway_state",
    "history/interface": "unit/history/test_memory",
    "hub/command_fields": "unit/hub/test_command_parser",
    "hub/command_json": "unit/hub/test_command_parser",
    "hub/commander": "unit/hub/test_dispatch",
    "hub/commands": "unit/hub/test_command_parser",
    "hub/recorded_events": "unit/api/test_failures",
    "labelled_counts": "unit/test_metrics",
    "metric_field": "unit/test_metrics",
    "node_parts": "unit/test_service",
    "observable": "unit/prometheus/test_collector",
    "pools/lent_connection": "unit/pools/redis/test_server_connection",
    "pools/mysql/capabilities": "unit/pools/mysql/test_greeting",
    "pools/mysql/login_means": "system/test_mysql_pool",
    "pools/mysql/php_connection": "unit/pools/mysql/test_service",
    "pools/mysql/query_killer": "unit/pools/mysql/test_service",
    "pools/mysql/server_connection": "unit/pools/mysql/test_connector",
    "pools/connector": "unit/pools/test_pool",
    "pools/errors": "unit/pools/test_pool",
    "pools/server_endpoint": "system/test_redis_pool",
    "pools/tcp/connector": "unit/pools/tcp/test_service",
    "pools/tcp/php_connection": "unit/pools/tcp/test_service",
    "pools/tcp/warm_connection": "unit/pools/tcp/test_service",
    "pools/postgres/process": "unit/pools/postgres/test_service",
    "pools/redis/cleaning": "unit/pools/redis/test_login",
    "pools/redis/connector": "unit/pools/redis/test_server_connection",
    "pools/redis/service": "system/test_redis_pool",
    "pools/interface": "unit/pools/test_manager",
    "pools/link": "unit/pools/test_pool_set",
    "pools/selection": "unit/pools/test_manager",
    "process/guarded_process": "system/test_fpm",
    "process/guardian": "system/test_fpm",
    "process/server_endpoint": "unit/process/test_unix_socket",
    "relay/errors": "unit/relay/test_relay",
    "relay/hold_control": "unit/api/test_hold",
    "relay/message": "unit/relay/test_relay",
    "relay/excerpt": "unit/relay/test_replies",
    "relay/fifo": "unit/relay/test_queue",
    "relay/overruns": "unit/relay/test_relay",
    "relay/policy": "unit/relay/test_relay",
    "relay/reply_reader": "unit/relay/test_replies",
    "relay/timer_events": "unit/relay/test_relay",
    "settings/api": "unit/settings/test_settings",
    "settings/browsers": "unit/settings/test_settings",
    "settings/failures": "unit/settings/test_settings",
    "settings/manual": "unit/test_tap",
    "settings/option": "unit/settings/test_settings",
    "settings/php": "unit/settings/test_settings",
    "settings/pool_config": "unit/settings/test_pool_text",
    "settings/process": "unit/settings/test_settings",
    "workers/feed_router": "unit/workers/test_shared_feed",
    "workers/pending_answers": "unit/workers/test_survey",
    "workers/token_keeper": "unit/workers/test_shared_tokens",
    "workers/rehearsal": "system/test_workers",
    "workers/state": "unit/workers/test_parent",
    "relay/own_events": "unit/outgoing/test_socket",
    "settings/outgoing": "unit/settings/test_outgoing_url",
    "outgoing/events": "unit/outgoing/test_socket",
    "outgoing/observables": "unit/outgoing/test_sockets",
    "prometheus/figures": "unit/workers/test_report",
    "prometheus/plain_family": "unit/workers/test_report",
    "workers/worker_process": "unit/workers/test_slot",
    "process/die_with_parent": "system/test_workers",
    "process_role": "unit/workers/test_opening",
    "timers/turns": "unit/timers/test_schedule",
    "web/local_peer": "unit/api/test_access",
    "web/response": "unit/web/test_site",
    "web/roots": "unit/web/test_site",
    "transport/connect_errors": "unit/bus/test_link",
    "transport/tls_endpoint": "system/test_bus_tls",
    "transport/tls_errors": "unit/backend/http/test_backend",
    "transport/socket_reactor": "unit/web/test_fast_path_site",
    "web/handshake_request": "unit/websocket/test_fast_handshake",
    "websocket/opening": "unit/websocket/test_handshake",
}


def has_test(module: Path) -> bool:
    """Return whether a test file mirrors the module."""
    mirrored = ROOT / "tests/unit" / module.parent / f"test_{module.name}.py"
    return mirrored.exists() or (ROOT / "tests/system" / f"test_{module.name}.py").exists()


class MirrorTests(SynchronousTestCase):
    def test_each_module(self) -> None:
        """A module without a test file of its own is listed with the file that tests it."""
        package = ROOT / "phpgw"
        modules = {
            path.relative_to(package).with_suffix("")
            for path in package.rglob("*.py")
            if path.name != "__init__.py"
        }
        without = {str(module) for module in modules if not has_test(module)}
        self.assertEqual(set(TESTED_ELSEWHERE), without)

    def test_list(self) -> None:
        for module, test in TESTED_ELSEWHERE.items():
            self.assertTrue((ROOT / "tests" / f"{test}.py").exists(), f"{module}: {test}")
