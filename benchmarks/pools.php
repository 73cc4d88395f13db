<?php
// What PHP does in one request of the benchmarks of pools. Its form says how.
declare(strict_types=1);

/** Three prepared queries, as a small page makes them. */
function query(): void
{
    $persistent = ($_POST['persistent'] ?? '') === '1';
    $pdo = new PDO($_POST['dsn'], $_POST['user'], $_POST['password'], [
        PDO::ATTR_PERSISTENT => $persistent,
        PDO::ATTR_EMULATE_PREPARES => false,
        PDO::ATTR_ERRMODE => PDO::ERRMODE_EXCEPTION,
    ] + (isset($_POST['ca']) ? [PDO::MYSQL_ATTR_SSL_CA => $_POST['ca']] : []));
    for ($number = 1; $number <= 3; $number++) {
        $statement = $pdo->prepare('SELECT ? + 0');
        $statement->execute([$number]);
        if ((int) $statement->fetchColumn() !== $number) {
            throw new Exception('a wrong answer');
        }
    }
}

/** Three commands, as a session or a small cache needs them. */
function remember(): void
{
    $redis = new Redis();
    $context = isset($_POST['ca']) ? ['stream' => ['cafile' => $_POST['ca']]] : [];
    if (($_POST['persistent'] ?? '') === '1') {
        $redis->pconnect($_POST['host'], (int) $_POST['port'], 5, $_POST['host'], 0, 0, $context);
    } else {
        $redis->connect($_POST['host'], (int) $_POST['port'], 5, null, 0, 0, $context);
    }
    for ($number = 1; $number <= 3; $number++) {
        $redis->set("key$number", (string) $number);
        if ($redis->get("key$number") !== (string) $number) {
            throw new Exception('a wrong answer');
        }
    }
}

/** One call of an API, with a handle of its own. */
function call(): void
{
    $handle = curl_init($_POST['url']);
    curl_setopt_array($handle, [CURLOPT_RETURNTRANSFER => true, CURLOPT_TIMEOUT => 10]);
    if (isset($_POST['ca'])) {
        curl_setopt($handle, CURLOPT_CAINFO, $_POST['ca']);
    }
    if (isset($_POST['socket'])) {
        curl_setopt($handle, CURLOPT_UNIX_SOCKET_PATH, $_POST['socket']);
    }
    if (curl_exec($handle) !== '{"ok":true}') {
        throw new Exception('a wrong answer: ' . curl_error($handle));
    }
}

try {
    match ($_POST['do']) {
        'query' => query(),
        'remember' => remember(),
        'call' => call(),
        'nothing' => null,
    };
    echo 'done';
} catch (Throwable $error) {
    http_response_code(500);
    error_log((string) $error);
}
