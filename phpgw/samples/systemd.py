"""systemd: the unit of the service, and the unit of its sockets."""

import re
from pathlib import Path

from phpgw.samples.service import HOMES, GatewayService, checked_user, is_below, php_fpm_units
from phpgw.samples.text import CannotWrite, checked, comment, example, joined

_SERVICE = "/etc/systemd/system/phpgw.service"
_CREDENTIALS = "/run/credentials/phpgw.service"
_TEMPORARY = ("/tmp", "/var/tmp")
_PLAIN = re.compile(r"[A-Za-z0-9_./:@=,+~-]+")
_RUN = re.compile(r"/(?:var/)?run/([A-Za-z0-9._-]+)/.+")
_LOWEST_FREE_PORT = 1024
_BIND = "CAP_NET_BIND_SERVICE"
# In systemd's own order (systemd.exec(5)), where it does not matter for what the gateway does.
_SANDBOX = """\
NoNewPrivileges=yes
ProtectSystem=strict
PrivateDevices=yes
DevicePolicy=closed
PrivateIPC=yes
PrivateMounts=yes
ProtectProc=invisible
ProcSubset=pid
ProtectClock=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
RemoveIPC=yes
KeyringMode=private
LockPersonality=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallFilter=~@privileged @resources
SystemCallErrorNumber=EPERM
UMask=0077""".splitlines()


def make_service(service: GatewayService) -> str:
    """Return the unit of the service.

    :raises CannotWrite: if such a service could not run.
    """
    return joined(
        [
            *comment('The gateway as a service, as "phpgw systemd" prints it.'),
            "#",
            *comment(f"Save it as {_SERVICE}, and start it:"),
            *example(["systemctl daemon-reload", "systemctl enable --now phpgw"]),
            *(line for note in service.notes for line in ("#", *comment(note))),
            "",
            "[Unit]",
            "Description=WebSocket gateway for PHP-FPM",
            *_order(service),
            *comment("Not for ever, if it cannot start."),
            "StartLimitIntervalSec=30",
            "StartLimitBurst=5",
            "",
            "[Service]",
            *_process(service),
            "",
            *_stop(service),
            "",
            *_user(service),
            *_secrets(service),
            *_directories(service),
            "",
            *_sandbox(service),
            "",
            "[Install]",
            "WantedBy=multi-user.target",
        ]
    )


def _order(service: GatewayService) -> list[str]:
    servers = ["nginx", "apache2", "caddy", "haproxy"]
    fpm = [] if service.php == "own" else php_fpm_units(service)
    units = ["network.target", *(f"{name}.service" for name in (*servers, *fpm))]
    sockets = [
        *comment("systemd opens the port: phpgw systemd --socket."),
        "Requires=phpgw.socket",
        "After=phpgw.socket",
    ]
    return [
        *comment(
            "What starts first stops last: at shutdown PHP still replies while the gateway drains. "
            "Names that do not exist here do no harm."
        ),
        f"After={' '.join(units)}",
        *(sockets if service.inherits_sockets else []),
    ]


def _process(service: GatewayService) -> list[str]:
    command = " ".join(map(_argument, (service.program, *service.arguments)))
    reload = "Reads the certificates of ssl: endpoints again; no connection ends."
    if service.php == "own":
        reload = "Reads PHP's code and settings, and certificates again; no connection ends."
    return [
        *comment(
            "The gateway tells systemd when it is ready, and its numbers (systemctl status). If it "
            "is silent for half a minute, it hangs, and systemd starts it again."
        ),
        "Type=notify",
        "NotifyAccess=main",
        "WatchdogSec=30",
        f"ExecStart={command}",
        *comment(reload),
        "ExecReload=/bin/kill -HUP $MAINPID",
        *comment("Lines such as PHPGW_MAX_CONNECTIONS=500. They win over the configuration file."),
        "EnvironmentFile=-/etc/default/phpgw",
        "SyslogIdentifier=phpgw",
        "Restart=on-failure",
        "RestartSec=1",
        *comment("A mistake in the configuration does not get better by itself."),
        "RestartPreventExitStatus=2",
        *comment("One for each client, and one for each event that runs."),
        f"LimitNOFILE={service.descriptors}",
    ]


def _stop(service: GatewayService) -> list[str]:
    return [
        *comment(
            "SIGTERM drains. It is sent once, and only to the gateway: a second one would end it "
            "at once."
        ),
        "KillSignal=SIGTERM",
        "KillMode=mixed",
        *comment("Longer than drain-timeout."),
        f"TimeoutStopSec={service.stop_seconds}",
    ]


def _user(service: GatewayService) -> list[str]:
    """Return who it runs as, and what that user may open."""
    if service.php == "own":
        lines = [
            *comment("Your scripts run as the same user. What they write to has to be named here."),
            f"User={checked_user(service.php_user)}",
            "ReadWritePaths=-/var/lib/php/sessions",
        ]
    else:
        lines = [
            *comment(
                "A user that exists only while the service runs, and owns nothing. The "
                "configuration file must be readable for all."
            ),
            "DynamicUser=yes",
        ]
    if service.php_socket is not None or not service.is_known:
        group = _group(service.php_socket) if service.php_socket is not None else None
        lines += [
            *comment("The group that may connect to PHP-FPM's socket (listen.group in its pool)."),
            f"SupplementaryGroups={group or 'www-data'}",
        ]
    lines += _pool_group(service)
    for key in sorted({address.key for address in service.addresses if address.key}):
        group = _group(key)
        if group is not None:
            lines += [*comment("The group that may read the key."), f"SupplementaryGroups={group}"]
        else:
            lines += [
                *comment(
                    f"Let a group read {checked(key)}, and name it here. LoadCredential= does not "
                    "work for it: a reload would find the old key."
                ),
                "#SupplementaryGroups=ssl-cert",
            ]
    return lines


def _pool_group(service: GatewayService) -> list[str]:
    """Return the group of the sockets of pools.

    :raises CannotWrite: if there are several: a service cannot give its files to other groups.
    """
    groups = sorted({pool.group for pool in service.pools if pool.group is not None})
    if not groups:
        return []
    if len(groups) > 1:
        raise CannotWrite(
            f"a service has one group for its sockets, and not {' and '.join(groups)}; expected "
            "the same group= in each --pool"
        )
    return [*comment("The group of the sockets of connection pools."), f"Group={groups[0]}"]


def _group(path: str) -> str | None:
    """Return the group of a file; ``None`` if the file is not there, or is root's."""
    try:
        group = Path(path).group()
    except (OSError, KeyError):
        return None
    return None if group == "root" else group


def _secrets(service: GatewayService) -> list[str]:
    lines: list[str] = []
    for secret in service.secrets:
        name, path = secret.name, secret.path
        if is_below(path, ["/run/credentials"]):
            name, path = Path(path).name, f"/etc/phpgw/{Path(path).name}"
        variable = f"PHPGW_{secret.option.replace('-', '_').upper()}"
        lines += [
            *comment("A secret that root alone can read. The gateway gets a copy."),
            f"LoadCredential={checked(name, forbidden=' :%$')}:{_specifiers(checked(path))}",
            f"Environment={variable}={_CREDENTIALS}/{name}",
        ]
    return lines


def _directories(service: GatewayService) -> list[str]:
    """Return the directories for the gateway's own sockets."""
    names = [] if service.is_known else ["phpgw"]
    pool_sockets = (pool.socket for pool in service.pools if pool.socket is not None)
    for path in (*(server.path for server in service.unix_servers), *pool_sockets):
        match = _RUN.fullmatch(path)
        if match is None or ".." in path.split("/"):
            raise CannotWrite(
                f"a service cannot make a socket at {path!r}; give it a directory of its "
                "own, as in /run/phpgw/phpgw.sock"
            )
        names.append(match[1])
    if not names:
        return []
    return [
        *comment("A directory for the gateway's own UNIX sockets, in /run."),
        f"RuntimeDirectory={' '.join(sorted(set(names)))}",
    ]


def _sandbox(service: GatewayService) -> list[str]:
    binds = any(server.port < _LOWEST_FREE_PORT for server in service.tcp_servers)
    homes = [path for path in service.files if is_below(path, HOMES)]
    paths = [*service.files, *([service.php_socket] if service.php_socket else [])]
    has_temporary = any(is_below(path, _TEMPORARY) for path in paths)
    lines = [
        *comment(
            "The sandbox: a gateway needs to read its code and to use sockets, and nothing else."
        ),
        f"CapabilityBoundingSet={_BIND if binds else ''}",
        f"AmbientCapabilities={_BIND if binds else ''}",
        # In a user namespace of its own, the capability would not count for the port.
        f"PrivateUsers={'no' if binds else 'yes'}",
        f"ProtectHome={'read-only' if homes else 'yes'}",
        f"PrivateTmp={'no' if has_temporary else 'yes'}",
        *_SANDBOX,
    ]
    if not service.makes_code:
        lines.append("MemoryDenyWriteExecute=yes")
    if service.stays_on_machine:
        lines += [
            *comment("Browsers come through a proxy on this machine, and PHP is here, too."),
            "IPAddressDeny=any",
            "IPAddressAllow=localhost",
        ]
    return lines


def _argument(text: str) -> str:
    """Return a word of a command line: systemd.service(5), COMMAND LINES."""
    if _PLAIN.fullmatch(checked(text)):
        return text
    escaped = _specifiers(text).replace("\\", "\\\\").replace('"', '\\"').replace("$", "$$")
    return f'"{escaped}"'


def _specifiers(text: str) -> str:
    """Return a text in which ``%`` means itself."""
    return text.replace("%", "%%")
