<?php

// The whole chat, as the gateway sees it. Whatever happens on a WebSocket, the gateway POSTs it to this script and does
// what the script replies. To PHP it is an ordinary request of that browser: $_GET has the query string of the ws://
// URL, and session_start() finds the session that login.php has begun.

declare(strict_types=1);

use Phpgw\Event;
use Phpgw\Refusal;
use Phpgw\Reply;

require __DIR__ . '/app.php';
require __DIR__ . '/history.php';
require __DIR__ . '/story.php';

$event = Event::fromGlobals();

// --timer clock=1s. It is nobody's event, so the reply says whom it is for.
if ($event->isTimer('clock')) {
    Reply::nothing()->sendToAll(message('clock', ['time' => date(DATE_ATOM)]))->emit();
    exit;
}

// --events disconnect: a tab was closed, or a phone has lost its network. Tell those who are still here.
if ($event->isDisconnect()) {
    Reply::nothing()->sendToAll(who_is_where())->emit();
    exit;
}

$me = visitor();
$room = name_from($_GET['room'] ?? null);

// --events connect: who is refused here never gets a connection.
if ($event->isConnect()) {
    come_in($me, $room)->emit();
    exit;
}

// A message. The session may be gone by now: logged out, in another tab.
if ($me === null) {
    Reply::nothing()->close(reason: 'Log in again.')->emit();
    exit;
}

$command = json_decode($event->message, true);
$do = $command['do'] ?? null;
if ($do === 'look') {
    look($me, $room)->emit();
} elseif ($do === 'say') {
    say($me, $room, $command);
} else {
    Reply::text(message('error', ['text' => 'There is no such command.']))->emit();
}

function come_in(?array $me, ?string $room): Reply|Refusal
{
    if ($me === null) {
        return Reply::refuse(401, 'Log in first.');
    }
    if ($room === null) {
        return Reply::refuse(400, 'A room has a name of 1 to 32 characters.');
    }
    // A room is a group of the gateway: who sends to it needs to know nobody in it. User and state are for
    // who_is_where(): whose tab this is, and what to call them.
    return Reply::nothing()->join($room)->bind($me['id'])->state($me['name']);
}

/** A page has arrived and looks around: it gets what was said before, and everybody gets to know who is here now. */
function look(array $me, string $room): Reply
{
    $welcome = message('welcome', ['you' => $me, 'history' => (new History($room))->messages()]);
    return Reply::text($welcome)->sendToAll(who_is_where());
}

function say(array $me, string $room, array $command): void
{
    $ref = is_string($command['ref'] ?? null) ? $command['ref'] : '';
    $text = text_from($command['text'] ?? null, 2000);
    if ($text === null || preg_match('~^\w{1,64}$~D', $ref) !== 1) {
        Reply::text(message('error', ['text' => 'Between 1 and 2000 characters, please.', 'ref' => $ref]))->emit();
        return;
    }
    $said = (new History($room))->add($me, $text, $ref);
    if ($text === '/story') {
        tell_a_story($room, $me, $said);
    } else {
        Reply::nothing()->sendToGroup($room, message('said', $said))->emit();
    }
}
