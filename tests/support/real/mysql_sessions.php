<?php
/* Leaves a session of a pool in each state and in each way, and has the next user look at it.
   usage: mysql_sessions.php SOCKET pdo|mysqli; prints one JSON line for each case.
   It calls itself with a state and an end for the one who leaves the session. */

declare(strict_types=1);

[, $socket, $driver] = $argv;

/* One of PHP's own drivers, unmodified, behind the same few functions. */
interface Database
{
    public function run(string $sql): void;

    /** The rows of a query, or the text of its error. */
    public function ask(string $sql): array|string;

    /** Begins to read rows, and does not go on. */
    public function begin(string $sql): void;
}

final class PdoDatabase implements Database
{
    public PDO $pdo;

    private ?PDOStatement $open = null;

    public function __construct(string $socket)
    {
        $this->pdo = new PDO("mysql:unix_socket=$socket;dbname=shop;charset=utf8mb4", 'any', 'thing');
    }

    public function run(string $sql): void
    {
        $this->pdo->exec($sql);
    }

    public function ask(string $sql): array|string
    {
        try {
            return $this->pdo->query($sql)->fetchAll(PDO::FETCH_NUM);
        } catch (PDOException $error) {
            return $error->getMessage();
        }
    }

    public function begin(string $sql): void
    {
        $this->pdo->setAttribute(PDO::MYSQL_ATTR_USE_BUFFERED_QUERY, false);
        $this->open = $this->pdo->query($sql);
        $this->open->fetch();
    }
}

final class MysqliDatabase implements Database
{
    public mysqli $mysqli;

    private ?mysqli_result $open = null;

    public function __construct(string $socket)
    {
        $this->mysqli = new mysqli('localhost', 'any', 'thing', 'shop', 0, $socket);
        $this->mysqli->set_charset('utf8mb4');
    }

    public function run(string $sql): void
    {
        $this->mysqli->query($sql);
    }

    public function ask(string $sql): array|string
    {
        try {
            return $this->mysqli->query($sql)->fetch_all();
        } catch (mysqli_sql_exception $error) {
            return $error->getMessage();
        }
    }

    public function begin(string $sql): void
    {
        $this->open = $this->mysqli->query($sql, MYSQLI_USE_RESULT);
        $this->open->fetch_row();
    }
}

function connect(): Database
{
    global $socket, $driver;
    return $driver === 'pdo' ? new PdoDatabase($socket) : new MysqliDatabase($socket);
}

/* Statements that leave something behind; those of one kind of server fail at the other. */
const STATES = [
    'nothing' => ['SELECT 1'],
    'transaction' => ['BEGIN', 'INSERT INTO t (v) VALUES (1)'],
    'savepoint' => ['BEGIN', 'SAVEPOINT a', 'INSERT INTO t (v) VALUES (1)'],
    'autocommit' => ['SET autocommit = 0', 'INSERT INTO t (v) VALUES (1)'],
    'isolation' => ['SET SESSION TRANSACTION ISOLATION LEVEL SERIALIZABLE'],
    'next isolation' => ['SET TRANSACTION ISOLATION LEVEL SERIALIZABLE'],
    'read only' => ['SET SESSION TRANSACTION READ ONLY'],
    'xa' => ["XA START 'x'", 'INSERT INTO t (v) VALUES (1)'],
    'sql_mode' => ["SET sql_mode = 'ANSI_QUOTES,NO_BACKSLASH_ESCAPES'"],
    'time_zone' => ["SET time_zone = '+05:00', timestamp = 1, lc_time_names = 'de_DE'"],
    'checks' => ['SET foreign_key_checks = 0, unique_checks = 0, sql_select_limit = 1'],
    'user variable' => ["SET @a = 'mine'"],
    'temporary table' => ['CREATE TEMPORARY TABLE tt (a INT)', 'INSERT INTO tt VALUES (1)'],
    'hidden table' => ['CREATE TEMPORARY TABLE t (a INT)'],
    'prepared in SQL' => ["PREPARE s FROM 'SELECT 1'"],
    'named lock' => ["SELECT GET_LOCK('l', 1)"],
    'table lock' => ['LOCK TABLES t WRITE'],
    'global lock' => ['FLUSH TABLES WITH READ LOCK'],
    'last insert id' => ['INSERT INTO t (v) VALUES (1)', 'DELETE FROM t'],
    'made-up insert id' => ['SELECT LAST_INSERT_ID(77)', 'SET insert_id = 1000'],
    'character set' => ['SET NAMES latin1 COLLATE latin1_german1_ci'],
    'no results' => ['SET character_set_results = NULL'],
    'database' => ['USE other'],
    'role' => ['SET ROLE clerk'],
    'profiles' => ['SET profiling = 1', "SELECT 'a secret'", 'SET profiling = 0'],
    'profiling' => ['SET profiling = 1', "SELECT 'a secret'"],
    'warnings' => ["SELECT CAST('a' AS SIGNED)"],
    'handler' => ['HANDLER t OPEN', 'HANDLER t READ FIRST'],
    'sequence' => ['SELECT NEXTVAL(seq)'],
    'backup stage' => ['BACKUP STAGE START'],
    'backup lock' => ['LOCK INSTANCE FOR BACKUP'],
    'failed statement' => ['BEGIN', 'SELECT nonsense FROM nowhere'],
    // These need the driver.
    'prepared' => null,
    'cursor' => null,
    'asynchronous' => null,
    'several results' => null,
    'another character set' => null,
    'another database' => null,
    'another user' => null,
    'large query' => null,
];

function leave(Database $db, string $state): void
{
    foreach (STATES[$state] ?? [] as $sql) {
        try {
            is_string($db->ask($sql));
        } catch (Error) {
            // A statement without rows.
        }
    }
    if ($state === 'large query') {
        $db->ask("SELECT LENGTH('" . str_repeat("\1", 17 << 20) . "')");
    }
    if ($db instanceof PdoDatabase) {
        match ($state) {
            'prepared' => $GLOBALS['kept'] = $db->pdo->prepare('SELECT ?', [PDO::ATTR_EMULATE_PREPARES => false]),
            'several results' => $db->run('SELECT 1; SELECT 2'),
            'another character set' => $db->run('SET CHARACTER SET latin1'),
            default => null,
        };
        return;
    }
    match ($state) {
        'prepared' => $GLOBALS['kept'] = $db->mysqli->prepare('SELECT ?'),
        'cursor' => open_cursor($db->mysqli),
        'asynchronous' => $db->mysqli->query('SELECT SLEEP(0.05)', MYSQLI_ASYNC),
        'several results' => $db->mysqli->multi_query('SELECT 1; SELECT 2'),
        'another character set' => $db->mysqli->set_charset('latin1'),
        'another database' => $db->mysqli->select_db('other'),
        'another user' => @$db->mysqli->change_user('root', '', 'other'),
        default => null,
    };
}

function open_cursor(mysqli $mysqli): void
{
    $GLOBALS['kept'] = $statement = $mysqli->prepare('SELECT v FROM u UNION SELECT 1 UNION SELECT 2');
    $statement->attr_set(MYSQLI_STMT_ATTR_CURSOR_TYPE, MYSQLI_CURSOR_TYPE_READ_ONLY);
    $statement->execute();
}

/* An answer of 27 MB, from no table: there may be locks. */
const LARGE = 'WITH RECURSIVE s AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM s WHERE n < 900) '
    . "SELECT REPEAT('x', 30000) FROM s";

/* Each ends the process. */
function end_by(Database $db, string $end): void
{
    $kill = fn () => exec('kill -9 ' . getmypid());
    match ($end) {
        'end' => null,
        'exit' => exit(0),
        'fatal error' => undefined_function(),
        'no memory' => str_repeat('x', PHP_INT_MAX - 100),
        'SIGKILL' => $kill(),
        'half an answer' => $db->begin(LARGE) ?? $kill(),
        'half an answer, exit' => $db->begin(LARGE) ?? exit(0),
    };
}

const ENDS = ['end', 'exit', 'fatal error', 'SIGKILL', 'half an answer'];
const MORE_ENDS = ['no memory', 'half an answer, exit'];
/* What changes by itself. */
const VOLATILE = '/^(timestamp|pseudo_thread_id|rand_seed\d|last_gtid|statement_id|gtid_.*|version_.*|error_count|warning_count)$/';

function fingerprint(Database $db): array
{
    $found = [];
    foreach ($db->ask('SHOW SESSION VARIABLES') as [$name, $value]) {
        if (!preg_match(VOLATILE, $name)) {
            $found["@@$name"] = $value;
        }
    }
    $queries = [
        'SHOW WARNINGS', 'SHOW PROFILES', 'SELECT DATABASE(), CURRENT_USER(), CURRENT_ROLE()', 'SELECT @a',
        'SELECT LAST_INSERT_ID(), @@last_insert_id', 'SELECT * FROM tt', 'SELECT COUNT(v) FROM t', 'EXECUTE s',
        "SELECT IS_USED_LOCK('l')", 'HANDLER t READ FIRST', 'SELECT LASTVAL(seq)', 'SELECT COUNT(*) FROM u', 'BACKUP STAGE END',
        "SHOW GLOBAL STATUS LIKE 'Prepared_stmt_count'", 'SELECT @@in_transaction', 'SELECT 1; SELECT 2',
    ];
    foreach ($queries as $sql) {
        $found[$sql] = preg_replace('/near .*/', '', (string) json_encode($db->ask($sql)));
    }
    return $found;
}

if (isset($argv[4])) {
    $db = connect();
    echo $db->ask('SELECT CONNECTION_ID()')[0][0], "\n";
    flush();
    leave($db, $argv[3]);
    end_by($db, $argv[4]);
    exit(0);
}

$new = null;
foreach (array_keys(STATES) as $state) {
    // All of them with one driver, and with the first states, is enough.
    $ends = $driver === 'pdo' ? ENDS : ['end', 'SIGKILL', 'half an answer'];
    $more = in_array($state, ['nothing', 'transaction'], true) ? MORE_ENDS : [];
    foreach ([...$ends, ...$more] as $end) {
        $settings = ['-d', 'memory_limit=256M', '-d', 'log_errors=0', '-d', 'display_errors=0'];
        $command = [PHP_BINARY, ...$settings, __FILE__, $socket, $driver, $state, $end];
        $process = proc_open($command, [1 => ['pipe', 'w'], 2 => ['file', '/dev/null', 'w']], $pipes);
        $id = trim((string) stream_get_contents($pipes[1]));
        proc_close($process);
        $db = connect();
        $next = $db->ask('SELECT CONNECTION_ID()')[0][0];
        $found = fingerprint($db);
        $new ??= $found;
        unset($db);
        echo json_encode([
            'state' => $state,
            'end' => $end,
            'is_same' => $id === (string) $next,
            'difference' => (array_diff_assoc($found, $new) + array_diff_assoc($new, $found)) ?: (object) [],
            'ids' => "$id $next",
        ]), "\n";
    }
}
