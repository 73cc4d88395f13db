<?php

// What the gateway asks: may this browser connect, what about this message, and that somebody has left.

declare(strict_types=1);

use Phpgw\Event;
use Phpgw\EventInvalid;
use Phpgw\Reply;

require __DIR__ . '/../../php/phpgw.php';

$secretFile = getenv('PHPGW_SECRET_FILE'); // the gateway's --secret-file, where others can reach this script
try {
    $event = Event::fromGlobals($secretFile === false ? null : (string) file_get_contents($secretFile));
} catch (EventInvalid $error) {
    http_response_code($error->getCode());
    exit($error->getMessage());
}

if ($event->isConnect()) {
    session_start(['read_and_close' => true]); // the browser's session; its other requests need not wait for us
    $user = $_SESSION['user'] ?? null;
    $reply = $user === null
        ? Reply::refuse(401, 'Log in first.')
        : Reply::text("Welcome, $user.")->bind($user)->join('everybody')
            ->sendToGroup('everybody', "$user has come.", except: [$event->clientId]);
} elseif ($event->isMessage()) {
    $reply = Reply::nothing()->sendToGroup('everybody', "$event->user: $event->message");
} elseif ($event->isDisconnect()) {
    $reply = Reply::nothing()->sendToGroup('everybody', "$event->user has left.");
} else {
    $reply = Reply::nothing(); // an event that this script does not know
}
$reply->emit();
