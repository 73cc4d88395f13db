"""Peers from Debian's packages: Nchan inside Nginx, and Pushpin."""

import os
from pathlib import Path

from benchmarks.api import MESSAGE
from benchmarks.stage import Stage
from tests.support.real.process import MissingProgram, Process, accepts, find, free_port

_NCHAN = Path("/usr/lib/nginx/modules/ngx_nchan_module.so")
# Nchan and Pushpin do not make a form of a message.
_NCHAN_SCRIPT = "<?php echo file_get_contents('php://input');\n"
# WebSocket-over-HTTP: a request has some events, each with its content's length in hexadecimal.
_PUSHPIN_SCRIPT = """\
<?php
header('Content-Type: application/websocket-events');
header('Sec-WebSocket-Extensions: grip; message-prefix=""');

function text(string $content): void
{
    echo 'TEXT ', dechex(strlen($content)), "\\r\\n$content\\r\\n";
}

$events = file_get_contents('php://input');
for ($at = 0; ($end = strpos($events, "\\r\\n", $at)) !== false; ) {
    [$type, $length] = explode(' ', substr($events, $at, $end - $at)) + [1 => null];
    $at = $end + 2;
    $content = '';
    if ($length !== null) {
        $content = substr($events, $at, hexdec($length));
        $at += hexdec($length) + 2;
    }
    if ($type === 'OPEN') {
        echo "OPEN\\r\\n";
        foreach (['all', $_GET['id']] as $channel) {
            text('c:' . json_encode(['type' => 'subscribe', 'channel' => $channel]));
        }
    } elseif ($type === 'TEXT') {
        text($content);
    }
}
"""


class Nchan(Process):
    """An Nginx with Nchan: a message goes to PHP-FPM, and what PHP prints is published instead.

    Each client subscribes to a channel with its address as the name, to which its own messages go,
    and to the channel ``all``. Nchan's request to PHP has a wrong ``$content_length`` under load,
    so that PHP is told the length that all messages have here.
    """

    name = "nchan"

    def __init__(self, stage: Stage) -> None:
        if not _NCHAN.exists():
            raise MissingProgram(f"{_NCHAN} not found: apt-get install libnginx-mod-nchan")
        self.port = free_port()
        self._stage = stage
        directory = stage.directory / "nchan"
        self._configuration = directory / "nginx.conf"
        program = find(["nginx"], "nginx-light")
        super().__init__(
            directory,
            [program, "-e", "stderr", "-p", str(directory), "-c", str(self._configuration)],
        )

    def configure(self) -> None:
        script = self._stage.root / "nchan.php"
        script.write_text(_NCHAN_SCRIPT)
        user = "user root root;" if os.getuid() == 0 else ""
        temporary = " ".join(
            f'{name}_temp_path "{self.directory / name}";'
            for name in ("client_body", "fastcgi", "proxy", "scgi", "uwsgi")
        )
        self._configuration.write_text(f"""\
load_module {_NCHAN};
{user}
daemon off;
worker_processes 1;
pid "{self.directory / "nginx.pid"}";
error_log stderr error;
events {{ worker_connections {self._stage.open_files - 100}; }}
http {{
    access_log off;
    keepalive_requests 1000000000;
    nchan_shared_memory_size 512M;
    nchan_store_messages off;
    {temporary}
    server {{
        listen 127.0.0.1:{self.port} backlog=4096;
        location = /ws {{
            nchan_pubsub websocket;
            nchan_publisher_channel_id "$remote_addr:$remote_port";
            nchan_subscriber_channel_id "$remote_addr:$remote_port" all;
            nchan_publisher_upstream_request /php;
        }}
        location = /php {{
            internal;
            fastcgi_pass "{self._stage.php_fpm.fastcgi_pass}";
            fastcgi_param SCRIPT_FILENAME "{script}";
            fastcgi_param REQUEST_METHOD POST;
            fastcgi_param CONTENT_TYPE text/plain;
            fastcgi_param CONTENT_LENGTH {len(MESSAGE)};
            fastcgi_param REMOTE_ADDR $remote_addr;
            fastcgi_param REMOTE_PORT $remote_port;
        }}
        location = /publish {{
            nchan_publisher;
            nchan_channel_id $arg_channel;
        }}
    }}
}}
""")

    def is_ready(self) -> bool:
        return bool(self.children()) and accepts(self.port)


class Pushpin(Process):
    """Pushpin, which asks PHP behind Nginx by WebSocket-over-HTTP.

    PHP is asked at a handshake, too: it subscribes the client to the channel that its URL names,
    and to the channel ``all``.

    :ivar port: for browsers.
    :ivar publish_port: for PHP.
    """

    name = "pushpin"
    # It starts four programs.
    start_timeout = 30.0

    def __init__(self, stage: Stage) -> None:
        self.port, self.publish_port = free_port(), free_port()
        self._stage = stage
        directory = stage.directory / "pushpin"
        self._configuration = directory / "pushpin.conf"
        super().__init__(
            directory, [find(["pushpin"], "pushpin"), f"--config={self._configuration}"]
        )

    def configure(self) -> None:
        (self._stage.root / "pushpin.php").write_text(_PUSHPIN_SCRIPT)
        for name in ("run", "log"):
            (self.directory / name).mkdir(exist_ok=True)
        origin = f"127.0.0.1:{self._stage.nginx.port}"
        (self.directory / "routes").write_text(f"* {origin},over_http\n")
        self._configuration.write_text(f"""\
[global]
include={{libdir}}/internal.conf
rundir={self.directory}/run
ipc_prefix=bench-
port_offset=0
stats_connection_ttl=120

[runner]
services=condure,zurl,pushpin-proxy,pushpin-handler
http_port=127.0.0.1:{self.port}
logdir={self.directory}/log
log_level=1
client_buffer_size=8192
client_maxconn={self._stage.open_files}

[proxy]
routesfile=routes
zurl_out_specs=ipc://{{rundir}}/{{ipc_prefix}}zurl-in
zurl_out_stream_specs=ipc://{{rundir}}/{{ipc_prefix}}zurl-in-stream
zurl_in_specs=ipc://{{rundir}}/{{ipc_prefix}}zurl-out
updates_check=off

[handler]
push_in_spec=ipc://{{rundir}}/{{ipc_prefix}}push-in
push_in_sub_specs=ipc://{{rundir}}/{{ipc_prefix}}push-in-sub
push_in_http_addr=127.0.0.1
push_in_http_port={self.publish_port}
push_in_http_max_headers_size=10000
push_in_http_max_body_size=1000000
stats_spec=ipc://{{rundir}}/{{ipc_prefix}}stats
command_spec=ipc://{{rundir}}/{{ipc_prefix}}command
message_rate=1000000
message_hwm=1000000
connection_subscription_max=20
""")

    def is_ready(self) -> bool:
        return accepts(self.port) and accepts(self.publish_port)
