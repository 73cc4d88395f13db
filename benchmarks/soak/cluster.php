<?php

// PHP's side of the soak of several nodes: it writes down who connects and disconnects, and echoes.

declare(strict_types=1);

$type = $_POST['type'];
if ($type === 'server') {
    exit($_POST['message'] === 'id' ? $_POST['client_id'] : $_POST['message']);
}
$line = [$type, $_POST['client_id'], $_POST['code'] ?? '', $_SERVER['HTTP_PHPGW_EVENT_ID'],
    $_SERVER['HTTP_PHPGW_USER'] ?? '', ''];
file_put_contents(__DIR__ . '/told', implode(' ', $line) . "\n", FILE_APPEND | LOCK_EX);
if ($type === 'disconnect') {
    http_response_code(204);
    exit;
}
header('Content-Type: application/vnd.phpgw+json');
echo json_encode([
    ['op' => 'join', 'group' => $_GET['group']],
    ['op' => 'bind', 'user' => $_GET['user']],
]);
