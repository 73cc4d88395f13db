<?php

// PHP's side of the soak: it echoes, and puts clients into the groups that they ask for.

declare(strict_types=1);

function commands(array ...$commands): never
{
    header('Content-Type: application/vnd.phpgw+json');
    exit(json_encode($commands));
}

switch ($_POST['type']) {
    case 'connect':
        setcookie('visit', $_POST['client_id']);
        $group = $_GET['group'] ?? 'guests';
        commands(
            ['op' => 'join', 'group' => $group],
            ['op' => 'bind', 'user' => "of $group"],
            ['op' => 'state', 'state' => $_POST['client_id']],
        );
    case 'disconnect':
        exit;
    case 'timer':
        commands(['op' => 'send', 'to' => ['group' => 'guests'], 'message' => 'tick']);
}
switch ($_POST['message']) {
    case 'slow':
        usleep(20000);
        exit('slow');
    case 'stream':
        header('Content-Type: application/x-ndjson');
        for ($line = 0; $line < 20; $line++) {
            echo json_encode(['op' => 'send', 'message' => "line $line"]), "\n";
            flush();
            usleep(2000);
        }
        exit;
    default:
        if (($_POST['state'] ?? '') !== $_POST['client_id']) {
            exit('the state is not what it was');
        }
        echo $_POST['message'];
}
