<?php
/* Leaves a connection of a pool in each state and in each way, and has the next user look at it.
   usage: redis_sessions.php SOCKET; prints one JSON line for each case. */

declare(strict_types=1);

final class Raw
{
    public $stream;

    public function __construct(string $socket)
    {
        $this->stream = stream_socket_client("unix://$socket", timeout: 5);
        stream_set_timeout($this->stream, 5);
    }

    public function send(string ...$words): void
    {
        fwrite($this->stream, self::pack(...$words));
    }

    public static function pack(string ...$words): string
    {
        $text = '*' . count($words) . "\r\n";
        foreach ($words as $word) {
            $text .= '$' . strlen($word) . "\r\n$word\r\n";
        }
        return $text;
    }

    public function read(): string
    {
        $line = (string) fgets($this->stream);
        $length = (int) substr($line, 1);
        if ($line !== '' && $line[0] === '$' && $length >= 0) {
            return substr((string) stream_get_contents($this->stream, $length + 2), 0, -2);
        }
        $length *= $line !== '' && $line[0] === '%' ? 2 : 1;
        if ($line !== '' && in_array($line[0], ['*', '>', '%'], true)) {
            return implode(' ', array_map(fn () => $this->read(), array_fill(0, max(0, $length), null)));
        }
        return rtrim($line);
    }

    public function ask(string ...$words): string
    {
        $this->send(...$words);
        return $this->read();
    }
}

/* Each is a list of commands, whose replies are awaited. */
const STATES = [
    'nothing' => [['PING']],
    'select' => [['SELECT', '5'], ['SET', 'left', 'behind']],
    'name' => [['CLIENT', 'SETNAME', 'somebody']],
    'library' => [['CLIENT', 'SETINFO', 'LIB-NAME', 'somebody']],
    'multi' => [['MULTI'], ['SET', 'never', 'done']],
    'watch' => [['WATCH', 'key']],
    'subscribe' => [['SUBSCRIBE', 'one']],
    'psubscribe' => [['PSUBSCRIBE', 'o*']],
    'ssubscribe' => [['SSUBSCRIBE', 'one']],
    'hello' => [['HELLO', '3']],
    'hello and push' => [['HELLO', '3'], ['SUBSCRIBE', 'one']],
    'no-evict' => [['CLIENT', 'NO-EVICT', 'ON']],
    'no-touch' => [['CLIENT', 'NO-TOUCH', 'ON']],
    'capability' => [['CLIENT', 'CAPA', 'redirect']],
    'import' => [['CLIENT', 'IMPORT-SOURCE', 'ON']],
    'tracking' => [['CLIENT', 'TRACKING', 'ON', 'BCAST']],
    'readonly' => [['READONLY']],
    'debug' => [['SCRIPT', 'DEBUG', 'YES']],
    'another user' => [['AUTH', 'other', 'theirs']],
    'monitor' => [['MONITOR']],
    'blocked once' => [['BLPOP', 'nothing', '0.01']],
    'refused command' => [['NONSENSE']],
];

/* Each ends the process. */
function ends(): array
{
    return [
        'end' => fn (Raw $raw) => exit(0),
        'fatal error' => function (Raw $raw): void {
            ini_set('display_errors', '0');
            ini_set('log_errors', '0');
            nothing_of_that_name();
        },
        'SIGKILL' => fn (Raw $raw) => posix_kill(getmypid(), SIGKILL),
        'no reply to the last' => function (Raw $raw): void {
            $raw->send('GET', 'key');
            posix_kill(getmypid(), SIGKILL);
        },
        'half a request' => function (Raw $raw): void {
            // With a reply in between, so that it looks answered.
            $half = Raw::pack('SET', 'stolen', str_repeat('x', 1000));
            fwrite($raw->stream, Raw::pack('PING') . substr($half, 0, -900));
            usleep(30000);
            posix_kill(getmypid(), SIGKILL);
        },
        'half a reply' => function (Raw $raw): void {
            $raw->send('GET', 'large');
            fread($raw->stream, 100);
            posix_kill(getmypid(), SIGKILL);
        },
        'replies off' => function (Raw $raw): void {
            $raw->send('CLIENT', 'REPLY', 'OFF');
            usleep(20000);
            posix_kill(getmypid(), SIGKILL);
        },
        'reply skipped' => function (Raw $raw): void {
            fwrite($raw->stream, Raw::pack('PING') . Raw::pack('CLIENT', 'REPLY', 'SKIP'));
            usleep(20000);
            posix_kill(getmypid(), SIGKILL);
        },
    ];
}

/* Everything about a connection that must be the same for each user. */
function fingerprint(Raw $raw): array
{
    $kept = ['name', 'flags', 'db', 'sub', 'psub', 'ssub', 'multi', 'watch', 'user', 'redir', 'resp'];
    $kept = array_flip([...$kept, 'lib-name', 'lib-ver', 'capa']);
    $found = [];
    foreach (explode(' ', $raw->ask('CLIENT', 'INFO')) as $pair) {
        [$name, $value] = explode('=', "$pair=");
        $found[$name] = $value;
    }
    // Valkey says 0 of a client that has been in a transaction, but is not.
    $found['multi'] = max(0, (int) $found['multi']);
    return [
        ...array_intersect_key($found, $kept),
        'script' => $raw->ask('EVAL', "return 'done'", '0'),
        'key' => $raw->ask('GET', 'key'),
        'never' => $raw->ask('GET', 'never'),
        'left' => $raw->ask('GET', 'left'),
        'stolen' => $raw->ask('GET', 'stolen'),
        'tracking' => $raw->ask('CLIENT', 'TRACKINGINFO'),
        'ping' => $raw->ask('PING'),
    ];
}

[, $socket] = $argv;
$first = new Raw($socket);
$first->ask('SET', 'key', 'value');
$first->ask('SET', 'large', str_repeat('v', 30_000_000));
$pristine = fingerprint($first);
unset($first);
foreach (STATES as $state => $commands) {
    foreach (ends() as $name => $end) {
        $child = pcntl_fork();
        if ($child === 0) {
            $raw = new Raw($socket);
            file_put_contents("$socket.id", $raw->ask('CLIENT', 'ID'));
            foreach ($commands as $words) {
                $raw->ask(...$words);
            }
            $end($raw);
            exit(1);
        }
        pcntl_waitpid($child, $status);
        $next = new Raw($socket);
        $is_same = $next->ask('CLIENT', 'ID') === file_get_contents("$socket.id");
        $found = fingerprint($next);
        $difference = [];
        foreach ($found as $key => $value) {
            if (($pristine[$key] ?? null) !== $value) {
                $difference[$key] = $value;
            }
        }
        unset($next);
        echo json_encode(['state' => $state, 'end' => $name, 'is_same' => $is_same,
            'difference' => (object) $difference]), "\n";
    }
}
