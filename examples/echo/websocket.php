<?php

// The smallest application: the gateway POSTs each message here, and what is echoed goes back over that socket.

declare(strict_types=1);

header('Content-Type: text/plain; charset=utf-8');

$message = $_POST['message'] ?? null;
$client = $_POST['client_id'] ?? null;

if (!is_string($message) || !is_string($client) || $client === '') {
    http_response_code(400); // not from the gateway; it never sends an error page on to a browser
    exit("An event has the fields type, message and client_id.\n");
}

echo match ($message) {
    'name' => 'phpgw',
    'time' => date('H:i:s'),
    default => 'default',
}, ' to ', $client;
