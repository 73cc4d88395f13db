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
    "backend/fpm/guardian": "system/test_fpm",
    "backend/fpm/manager": "system/test_fpm",
    "backend/fpm/process": "system/test_fpm",
    "backend/http/agent": "unit/backend/http/test_backend",
    "backend/http/head": "unit/backend/http/test_connection",
    "backend/http/parser": "unit/backend/http/test_connection",
    "backend/http/prepared": "unit/backend/http/test_backend",
    "backend/interface": "unit/backend/fastcgi/test_backend",
    "backend/reply": "unit/backend/fastcgi/test_exchange",
    "backend/tls_errors": "unit/backend/http/test_backend",
    "backend/upstream": "unit/backend/test_selection",
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
    "console/routes": "unit/console/test_static_files",
    "hub/command_fields": "unit/hub/test_command_parser",
    "hub/command_json": "unit/hub/test_command_parser",
    "hub/commander": "unit/hub/test_dispatch",
    "hub/commands": "unit/hub/test_command_parser",
    "labelled_counts": "unit/test_metrics",
    "metric_field": "unit/test_metrics",
    "observable": "unit/prometheus/test_collector",
    "process/server_endpoint": "unit/process/test_unix_socket",
    "relay/errors": "unit/relay/test_relay",
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
    "settings/process": "unit/settings/test_settings",
    "web/local_peer": "unit/api/test_access",
    "web/response": "unit/web/test_site",
    "web/roots": "unit/web/test_site",
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
