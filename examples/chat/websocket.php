<?php

// The chat. The gateway POSTs what a page sends; what is echoed goes back to that page; news goes to the other pages
// through the gateway's /send. Both are a JSON list of events, and chat.js acts on each event in turn.
//
// Whoever can POST here can speak as anybody, so the web server must let in none but the gateway: see demo/nginx.conf.

declare(strict_types=1);

require __DIR__ . '/push.php';
require __DIR__ . '/room.php';

/** A command that is not carried out; its sender is told why. */
final class Refused extends Exception
{
    public function __construct(public readonly string $reason, string $text)
    {
        parent::__construct($text);
    }
}

$post = array_filter($_POST, is_string(...)) + ['type' => '', 'message' => '', 'client_id' => ''];
['type' => $type, 'message' => $message, 'client_id' => $client] = $post;

header('Content-Type: application/json');
header('Cache-Control: no-store');
if ($type !== 'client' && ($type === '' || $client === '')) {
    http_response_code(400);
    exit(encode([['event' => 'error', 'reason' => 'bad_event', 'text' => 'type and client_id are missing']]));
}

try {
    $command = $type === 'server' ? parse($message) : [];
    $work = static function (Room $room) use ($type, $client, $message, $command): array {
        $room->heard($client);
        $news = $room->remove($room->silent());
        [$reply, $more] = match ($type) {
            'server' => obey($room, $client, $command),
            'client' => [[], [['event' => 'note', 'time' => $room->now(), 'text' => readable($message, 2000)]]],
            'disconnect' => [[], $room->remove([$client])], // where the gateway is asked to tell
            default => [[], []],
        };
        return [$reply, [...$news, ...$more], $room->clients()];
    };
    [$reply, $news, $clients] = Room::enter($work);
} catch (Refused $refused) {
    $error = ['event' => 'error', 'reason' => $refused->reason, 'text' => $refused->getMessage()];
    exit(encode([$error + array_intersect_key($command ?? [], ['ref' => true])]));
}

// The room is open again to others while we push. Whoever turns out to be gone has left: that is news once more.
while ($news !== []) {
    $reply = [...$reply, ...$news];
    $gone = push(array_values(array_diff($clients, [$client])), encode($news));
    [$news, $clients] = $gone === []
        ? [[], []]
        : Room::enter(static fn (Room $room): array => [$room->remove($gone), $room->clients()]);
}
echo encode($reply);

/**
 * @param array<string, mixed> $command
 * @return array{list<array<string, mixed>>, list<array<string, mixed>>} events for the sender; for everybody
 */
function obey(Room $room, string $client, array $command): array
{
    $do = $command['do'];
    if ($do === 'join') {
        return join_room($room, $client, $command);
    }
    if (!$room->has($client)) {
        throw new Refused('not_joined', 'Join first.');
    }
    return match ($do) {
        'say' => [[], $room->say($client, readable($command['text'] ?? null, 2000), key_of($command, 'ref'))],
        'leave' => [[], $room->remove([$client])],
        'ping' => [[['event' => 'pong', 'time' => $room->now(), 'people' => $room->people()]], []],
        default => throw new Refused('bad_command', 'There is no such command.'),
    };
}

/**
 * @param array<string, mixed> $command
 * @return array{list<array<string, mixed>>, list<array<string, mixed>>}
 */
function join_room(Room $room, string $client, array $command): array
{
    if ($room->isFull() && !$room->has($client)) {
        throw new Refused('full', 'The room is full.');
    }
    // The page's key is its own secret, so nobody else can come in as this person; the hash of it may be seen.
    $id = substr(hash('sha256', key_of($command, 'key')), 0, 12);
    $news = $room->join($client, $id, name_of($command));
    $welcome = ['event' => 'welcome', 'time' => $room->now(), 'you' => $id, 'people' => $room->people()];
    return [[$welcome + ['history' => $room->history()]], $news];
}

/** @return array<string, mixed> */
function parse(string $message): array
{
    $command = json_decode($message, true, 4);
    if (!is_array($command) || !is_string($command['do'] ?? null)) {
        throw new Refused('bad_command', 'A command is a JSON object with a "do".');
    }
    return $command;
}

/** @param array<string, mixed> $command */
function name_of(array $command): string
{
    $name = $command['name'] ?? null;
    return readable(is_string($name) ? preg_replace('~[\p{Z}\p{Cc}]+~u', ' ', $name) : null, 32);
}

/** @param array<string, mixed> $command */
function key_of(array $command, string $field): string
{
    $key = $command[$field] ?? null;
    if (!is_string($key) || preg_match('~^[\w-]{1,64}$~D', $key) !== 1) {
        throw new Refused('bad_command', "\"$field\" must have 1 to 64 letters, digits, _ or -.");
    }
    return $key;
}

/** Text that shows something, and not too much of it. Counted in code points: mbstring may not be there. */
function readable(mixed $text, int $most): string
{
    $text = is_string($text) ? trim($text) : '';
    if (preg_match('~[^\p{Z}\p{Cc}\p{Cf}]~u', $text) !== 1 || preg_match("~^.{1,$most}$~Dsu", $text) !== 1) {
        throw new Refused('bad_text', "Between 1 and $most characters, please.");
    }
    return $text;
}

/** @param list<array<string, mixed>> $events */
function encode(array $events): string
{
    return json_encode($events, JSON_THROW_ON_ERROR | JSON_UNESCAPED_UNICODE | JSON_UNESCAPED_SLASHES);
}
