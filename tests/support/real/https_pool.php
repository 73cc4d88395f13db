<?php
// What the tests of the pools for HTTP APIs have in common. PHP's own clients, unmodified.
declare(strict_types=1);

[, $socket, $port] = $argv;
const BASE = 'http://localhost';

/** Makes one request with curl; returns its status, fields, body, and the number of curl's error. */
function call(string $path, array $options = [], ?CurlHandle $handle = null): array
{
    global $socket;
    $fields = [];
    $handle ??= curl_init();
    curl_setopt_array($handle, array_replace([
        CURLOPT_URL => BASE . $path,
        CURLOPT_UNIX_SOCKET_PATH => $socket,
        CURLOPT_RETURNTRANSFER => true,
        CURLOPT_TIMEOUT => 20,
        CURLOPT_HEADERFUNCTION => static function ($handle, string $line) use (&$fields): int {
            $fields[] = trim($line);
            return strlen($line);
        },
    ], $options));
    $body = curl_exec($handle);
    return [
        'status' => curl_getinfo($handle, CURLINFO_RESPONSE_CODE),
        'fields' => array_values(array_filter($fields)),
        'body' => is_string($body) ? $body : '',
        'errno' => curl_errno($handle),
    ];
}

/** Prints what the test gets. */
function tell(mixed $what): void
{
    fwrite(STDOUT, json_encode($what, JSON_THROW_ON_ERROR) . "\n");
}
