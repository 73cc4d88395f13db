<?php

// Answers the messages of clients, and passes those of others on to a client through the gateway.

declare(strict_types=1);

$push_url = 'http://127.0.0.1:8080/send';

$type = $_POST['type'] ?? '';
$client = $_POST['client_id'] ?? '';
$message = $_POST['message'] ?? null;

if ($type === '' || $client === '' || $message === null) {
    exit('something wrong');
}

if ($type !== 'client') {
    exit(($message === 'name' ? 'lwlinux' : 'default') . " to $client");
}

$fields = "message=$message&type=client&client_id=$client";
passthru('curl --silent --noproxy "*" --data ' . escapeshellarg($fields) . ' ' . escapeshellarg($push_url));
echo PHP_EOL, "curl -d \"$fields\" $push_url", PHP_EOL;
