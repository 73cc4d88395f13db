<?php
/* Leaves a connection of a pool in each state and in each way, and has the next user look at it.
   usage: postgres_sessions.php DIRECTORY; prints one JSON line for each case. */

declare(strict_types=1);

[, $directory] = $argv;
define('PLACE', "host=$directory dbname=shop user=app");

function connect(): PgSql\Connection
{
    return pg_connect(PLACE, PGSQL_CONNECT_FORCE_NEW) ?: exit(3);
}

function value(PgSql\Connection $c, string $query): string
{
    $result = pg_query($c, $query);
    $rows = $result ? (pg_fetch_all($result, PGSQL_NUM) ?: []) : [['error']];
    return implode(';', array_map(fn ($row) => implode(',', array_map('strval', $row)), $rows));
}

/* Each is a list of queries. */
const STATES = [
    'nothing' => ['SELECT 1'],
    'transaction' => ['BEGIN', "INSERT INTO entries VALUES ('left')"],
    'failed transaction' => ['BEGIN', "INSERT INTO entries VALUES ('left')", 'SELECT nonsense'],
    'read only' => ['SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY'],
    'isolation' => ['SET default_transaction_isolation = serializable'],
    'variable' => ["SET my.variable = 'left'", "SELECT set_config('my.other', 'left', false)"],
    'search path' => ['SET search_path = pg_catalog'],
    'time zone' => ["SET TIME ZONE 'Asia/Tokyo'", "SET datestyle = 'German'"],
    'encoding' => ["SET client_encoding = 'LATIN1'"],
    'role' => ['SET ROLE other'],
    'session authorization' => ['SET SESSION AUTHORIZATION app', 'SET ROLE other'],
    'temporary table' => ['CREATE TEMPORARY TABLE entries (text text)'],
    'temporary sequence' => ['CREATE TEMPORARY SEQUENCE numbers', "SELECT nextval('numbers')"],
    'sequence' => ["SELECT nextval('counts')"],
    'prepared' => ['PREPARE mine AS SELECT 1'],
    'cursor' => ['BEGIN', 'DECLARE mine CURSOR WITH HOLD FOR SELECT 1', 'COMMIT'],
    'advisory lock' => ['SELECT pg_advisory_lock(7)', 'SELECT pg_advisory_lock(7)'],
    'shared lock' => ['SELECT pg_advisory_lock_shared(8)'],
    'table lock' => ['BEGIN', 'LOCK TABLE entries IN ACCESS EXCLUSIVE MODE'],
    'listen' => ['LISTEN news'],
    'statement timeout' => ["SET statement_timeout = '1h'"],
    'application name' => ["SET application_name = 'left'"],
    'copy' => ['COPY entries FROM STDIN'],
];

/* Each ends the process. */
function ends(): array
{
    return [
        'end' => fn ($c) => exit(0),
        'fatal error' => function ($c): void {
            ini_set('display_errors', '0');
            ini_set('log_errors', '0');
            nothing_of_that_name();
        },
        'SIGKILL' => fn ($c) => posix_kill(getmypid(), SIGKILL),
        'query runs' => function ($c): void {
            pg_send_query($c, 'SELECT pg_sleep(0.3)');
            usleep(20000);
            posix_kill(getmypid(), SIGKILL);
        },
        'half an answer' => function ($c): void {
            pg_send_query($c, "SELECT repeat('x', 1000) FROM generate_series(1, 20000)");
            usleep(20000);
            posix_kill(getmypid(), SIGKILL);
        },
        'extended query' => function ($c): void {
            pg_send_prepare($c, 'named', 'SELECT $1::text');
            pg_get_result($c);
            pg_send_execute($c, 'named', ['left']);
            posix_kill(getmypid(), SIGKILL);
        },
    ];
}

/* Everything about a session that must be the same for each user. */
function fingerprint(PgSql\Connection $c): array
{
    return [
        'settings' => value($c, "SELECT name, setting FROM pg_settings WHERE source = 'session'"
            . " OR name IN ('search_path', 'TimeZone', 'DateStyle', 'application_name',"
            . " 'statement_timeout', 'default_transaction_isolation', 'transaction_read_only',"
            . " 'client_encoding', 'default_transaction_read_only') ORDER BY 1"),
        'custom' => value($c, "SELECT coalesce(current_setting('my.variable', true), ''),"
            . " coalesce(current_setting('my.other', true), '')"),
        'users' => value($c, 'SELECT current_user, session_user'),
        'locks' => value($c, "SELECT locktype, mode FROM pg_locks WHERE pid = pg_backend_pid()"
            . " AND (locktype = 'advisory' OR relation = 'public.entries'::regclass)"),
        'prepared' => value($c, 'SELECT name FROM pg_prepared_statements'),
        'cursors' => value($c, 'SELECT name FROM pg_cursors WHERE name <> \'\''),
        'temporary' => value($c, 'SELECT relname FROM pg_class'
            . ' WHERE relnamespace = pg_my_temp_schema()'),
        'channels' => value($c, 'SELECT pg_listening_channels()'),
        'last value' => @value($c, 'SELECT lastval()'),
        'transaction' => (string) pg_transaction_status($c),
        'entries' => value($c, 'SELECT count(*) FROM public.entries'),
    ];
}

$first = connect();
$pristine = fingerprint($first);
pg_close($first);
foreach (STATES as $state => $queries) {
    foreach (ends() as $name => $end) {
        if ($state === 'copy' && in_array($name, ['end', 'fatal error'], true)) {
            // PHP itself never ends then.
            continue;
        }
        $child = pcntl_fork();
        if ($child === 0) {
            $c = connect();
            file_put_contents("$directory/.id", value($c, 'SELECT pg_backend_pid()'));
            foreach ($queries as $query) {
                @pg_query($c, $query);
            }
            @$end($c);
            exit(1);
        }
        pcntl_waitpid($child, $status);
        $next = connect();
        $is_same = value($next, 'SELECT pg_backend_pid()') === file_get_contents("$directory/.id");
        $found = fingerprint($next);
        pg_close($next);
        echo json_encode(['state' => $state, 'end' => $name, 'is_same' => $is_same,
            'difference' => (object) array_diff_assoc($found, $pristine)]), "\n";
    }
}
