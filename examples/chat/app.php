<?php

// What the pages in public/ and websocket.php have in common: who is there, which rooms there are, and the gateway.

declare(strict_types=1);

use Phpgw\Gateway;

require_once __DIR__ . '/../../php/phpgw.php';

const ROOMS = ['Lounge', 'Kitchen', 'Garden']; // anybody can open more, by name

/**
 * The session, in pages and in websocket.php alike: the browser sends its cookie with the WebSocket's handshake, and
 * the gateway passes it on with each event.
 *
 * It is closed as soon as it is read, for PHP locks it, and the visitor's other tabs would have to wait. Only who
 * changes something keeps it open.
 */
function open_session(bool $to_write = false): void
{
    session_start([
        'name' => 'chat',
        'use_strict_mode' => true,
        'cookie_secure' => isset($_SERVER['HTTPS']),
        'cookie_httponly' => true,
        'cookie_samesite' => 'Lax', // forms of other sites are sent without it: nobody posts in our visitor's name
        'read_and_close' => !$to_write,
    ]);
    if (!$to_write) {
        header_remove('Set-Cookie'); // a visitor without a session gets one when there is something to keep in it
    }
}

/**
 * What every page in public/ begins with: it answers no form that another site's page has sent, runs no script from
 * elsewhere, and shows in nobody's frame.
 */
function open_page(): void
{
    if ($_SERVER['REQUEST_METHOD'] === 'POST' && !is_from_us()) {
        http_response_code(403);
        exit("This form came from another site.\n");
    }
    header("Content-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
        . "connect-src 'self' " . websocket_origin() . "; form-action 'self'; base-uri 'none'; frame-ancestors 'none'");
    header('X-Frame-Options: DENY');
    header('X-Content-Type-Options: nosniff');
    header('Referrer-Policy: same-origin');
}

/**
 * Whether a form was sent by a page of ours. Browsers say so in these headers, which no page can change. They also keep
 * other sites from logging our visitors in and out, where a cookie's SameSite is of no help: no cookie is needed.
 */
function is_from_us(): bool
{
    $site = $_SERVER['HTTP_SEC_FETCH_SITE'] ?? null;
    $origin = $_SERVER['HTTP_ORIGIN'] ?? null;
    $is_ours = $origin === null || $origin === scheme() . '://' . ($_SERVER['HTTP_HOST'] ?? '');
    return $is_ours && ($site === null || $site === 'same-origin' || $site === 'none');
}

function scheme(): string
{
    return in_array(strtolower($_SERVER['HTTPS'] ?? ''), ['', 'off'], true) ? 'http' : 'https';
}

/** Where the page's WebSocket goes. Behind Nginx, pages and WebSockets come from one port; in the demo they do not. */
function websocket_origin(): string
{
    $host = preg_replace('~[^\w.:\[\]-]~', '', $_SERVER['HTTP_HOST'] ?? '');
    $port = get_cfg_var('phpgw.port') ?: null;
    $host = $port === null ? $host : preg_replace('~:\d*$~', '', $host) . ":$port";
    return (scheme() === 'https' ? 'wss' : 'ws') . "://$host";
}

/** @return array{id: string, name: string}|null who this browser is, once login.php has let it in */
function visitor(): ?array
{
    open_session();
    return $_SESSION['visitor'] ?? null;
}

/** The gateway's API, where the settings of PHP say that it is: see examples/demo and deploy/docker. */
function gateway(): Gateway
{
    $file = get_cfg_var('phpgw.token_file');
    $token = $file ? file_get_contents($file) : null;
    return new Gateway(get_cfg_var('phpgw.api') ?: Gateway::DEFAULT_URL, $token);
}

/** One message to a page, in the words that chat.js understands. */
function message(string $event, array $fields): string
{
    return json_encode(['event' => $event] + $fields, JSON_THROW_ON_ERROR | JSON_UNESCAPED_UNICODE);
}

/**
 * The message that tells who is in which room.
 *
 * We keep no list, so none can go wrong: the gateway knows which clients are in which group, whose they are, and the
 * state that websocket.php has given them.
 */
function who_is_where(): string
{
    $at = microtime(true); // of two such messages the one that was asked for later is right
    $rooms = array_fill_keys(ROOMS, []);
    foreach (gateway()->clients() as $client) {
        foreach ($client->groups as $room) {
            // By user: somebody with three tabs is here once.
            $rooms[$room][$client->user] = ['id' => $client->user, 'name' => $client->state];
        }
    }
    $list = [];
    foreach ($rooms as $name => $people) {
        $list[] = ['name' => (string) $name, 'people' => array_values($people)];
    }
    return message('who', ['at' => $at, 'rooms' => $list]);
}

/** A nickname or a room's name: one line that shows something, and not too much of it; or null. */
function name_from(mixed $input): ?string
{
    $line = is_string($input) ? preg_replace('~[\p{Z}\p{Cc}]+~u', ' ', $input) : null; // null if it is not UTF-8
    return text_from($line, 32);
}

/** Counted in characters, by a regular expression: mbstring may not be there. */
function text_from(mixed $input, int $most): ?string
{
    $text = is_string($input) ? trim($input) : '';
    $shows_something = preg_match('~[^\p{Z}\p{C}]~u', $text) === 1;
    return $shows_something && preg_match("~^.{1,$most}$~Dsu", $text) === 1 ? $text : null;
}

/** Text to put into a page's HTML. */
function h(string $text): string
{
    return htmlspecialchars($text);
}

/** Sends the browser elsewhere, and ends the script. */
function go_to(string $page, ?string $room = null): never
{
    header('Location: ' . $page . ($room === null ? '' : '?room=' . rawurlencode($room)), true, 303);
    exit;
}
