"""The manifests in deploy/kubernetes agree with each other, with the image and with the gateway."""

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from phpgw.settings import Settings
from phpgw.settings.sources import combine
from phpgw.web.paths import HEALTH_PATHS
from tests.support.container_files import (
    DOCKERFILE,
    image_environment,
    instruction,
    manifests,
)

# Seconds between the end of the drain and the end of Kubernetes' patience.
_RESERVE = 5


class ManifestTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.by_kind: dict[str, list[dict[str, Any]]] = {}
        for document in manifests():
            self.by_kind.setdefault(document["kind"], []).append(document)
        [deployment] = self.by_kind["Deployment"]
        self.pod = deployment["spec"]["template"]
        [self.gateway] = self.pod["spec"]["containers"]
        [self.php] = self.pod["spec"]["initContainers"]

    def settings(self) -> Settings:
        """Return the gateway's settings, the token being a file that is here."""
        texts = {each["name"]: each["value"] for each in self.gateway["env"]}
        token = {"PHPGW_API_TOKEN_FILE": str(DOCKERFILE)}
        return Settings.from_texts(combine({}, {**image_environment(), **texts, **token}))

    def test_socket(self) -> None:
        """Gateway and PHP-FPM share the directory of the socket, and the group that may open it."""
        self.assertEqual("unix:/run/php/php-fpm.sock", self.settings().php_fpm)
        mount = {"name": "socket", "mountPath": "/run/php"}
        self.assertIn(mount, self.gateway["volumeMounts"])
        self.assertIn(mount, self.php["volumeMounts"])
        group = self.pod["spec"]["securityContext"]["fsGroup"]
        self.assertEqual(group, self.php["securityContext"]["runAsGroup"])
        [pool] = self.by_kind["ConfigMap"]
        lines = pool["data"]["pool.conf"].splitlines()
        self.assertIn("listen = /run/php/php-fpm.sock", lines)
        self.assertIn("listen.mode = 0660", lines)
        self.assertIn(f"pm.max_children = {self.settings().php_concurrency}", lines)

    def test_order(self) -> None:
        """PHP-FPM ends after the gateway: it is a side-car."""
        self.assertEqual("Always", self.php["restartPolicy"])

    def test_patience(self) -> None:
        """Kubernetes waits for preStop and the drain."""
        [_, pause] = self.gateway["lifecycle"]["preStop"]["exec"]["command"]
        needed = float(pause) + self.settings().drain_timeout + _RESERVE
        self.assertGreaterEqual(self.pod["spec"]["terminationGracePeriodSeconds"], needed)

    def test_probes(self) -> None:
        """A gateway is restarted if it does not answer, and gets no clients if it is not ready."""
        paths = {path.pattern for path in HEALTH_PATHS}
        for probe, path in (("livenessProbe", "/healthz"), ("readinessProbe", "/readyz")):
            self.assertEqual({"path": path, "port": "api"}, self.gateway[probe]["httpGet"])
            self.assertIn(path, paths)

    def test_ports(self) -> None:
        """The ports are those of the image; services and the policy use their names."""
        ports = {each["name"]: str(each["containerPort"]) for each in self.gateway["ports"]}
        self.assertEqual(instruction("EXPOSE").split(), [*ports.values()])
        services = {
            each["metadata"]["name"]: each["spec"]["ports"][0] for each in self.by_kind["Service"]
        }
        self.assertEqual({"phpgw", "phpgw-api"}, set(services))
        for port in services.values():
            self.assertEqual(ports[port["targetPort"]], str(port["port"]))
        annotations = self.pod["metadata"]["annotations"]
        self.assertEqual(ports["api"], annotations["prometheus.io/port"])
        [policy] = self.by_kind["NetworkPolicy"]
        allowed = [rule["ports"][0]["port"] for rule in policy["spec"]["ingress"]]
        self.assertEqual([*ports], allowed)

    def test_public(self) -> None:
        """Only the WebSocket is public, and quiet connections live longer than three pings."""
        [ingress] = self.by_kind["Ingress"]
        [rule] = ingress["spec"]["rules"]
        [path] = rule["http"]["paths"]
        self.assertEqual(("/ws", "Exact"), (path["path"], path["pathType"]))
        self.assertEqual(self.settings().ws_path, path["path"])
        self.assertEqual("websocket", path["backend"]["service"]["port"]["name"])
        timeout = ingress["metadata"]["annotations"][
            "nginx.ingress.kubernetes.io/proxy-read-timeout"
        ]
        self.assertGreater(float(timeout), 3 * self.settings().ping_interval)

    def test_confined(self) -> None:
        """No container is root, writes to its root, or has a capability."""
        self.assertIs(True, self.pod["spec"]["securityContext"]["runAsNonRoot"])
        for container in (self.gateway, self.php):
            context = container["securityContext"]
            self.assertIs(True, context["readOnlyRootFilesystem"])
            self.assertIs(False, context["allowPrivilegeEscalation"])
            self.assertEqual({"drop": ["ALL"]}, context["capabilities"])
        user = self.gateway["securityContext"]["runAsUser"]
        self.assertEqual(instruction("USER"), f"{user}:{user}")

    def test_token(self) -> None:
        """The token is a file for the group alone, and PHP has the same secret."""
        texts = {each["name"]: each.get("value") for each in self.gateway["env"]}
        [volume] = [each for each in self.pod["spec"]["volumes"] if each["name"] == "token"]
        [mount] = [each for each in self.gateway["volumeMounts"] if each["name"] == "token"]
        self.assertEqual(f"{mount['mountPath']}/token", texts["PHPGW_API_TOKEN_FILE"])
        self.assertEqual(0o440, volume["secret"]["defaultMode"])
        [secret] = [each for each in self.php["env"] if each["name"] == "PHPGW_TOKEN"]
        name = secret["valueFrom"]["secretKeyRef"]["name"]
        self.assertEqual(volume["secret"]["secretName"], name)
