<?php

// Log in, and see who is there. Like any page of yours, it knows nothing of WebSockets but one line of JavaScript.

declare(strict_types=1);

const PASSWORDS = ['alice' => 'wonderland', 'bob' => 'builder']; // yours are hashed, in a database

// No other site's page can frame this one, or run a script in it.
$nonce = base64_encode(random_bytes(16));
$url = getenv('WEBSOCKET_URL') ?: 'ws://' . preg_replace('~:\d+$|[^\w.:\[\]-]~', '', $_SERVER['HTTP_HOST'] ?? '') . ':8080/ws';
$socket = preg_replace('~^(wss?://[^/]+).*~', '$1', $url);
header("Content-Security-Policy: default-src 'none'; script-src 'nonce-$nonce'; style-src 'nonce-$nonce'; "
    . "connect-src $socket; form-action 'self'; base-uri 'none'; frame-ancestors 'none'");
header('X-Frame-Options: DENY');
header('X-Content-Type-Options: nosniff');

session_start(['cookie_httponly' => true, 'cookie_samesite' => 'Lax', 'use_strict_mode' => true]);
if ($_SERVER['REQUEST_METHOD'] === 'POST') {
    // A form of another site would log our visitor in as somebody else. Browsers say where a form comes from.
    $site = $_SERVER['HTTP_SEC_FETCH_SITE'] ?? 'same-origin';
    $origin = preg_replace('~^https?://~', '', $_SERVER['HTTP_ORIGIN'] ?? $_SERVER['HTTP_HOST'] ?? '');
    if ($site !== 'same-origin' || $origin !== ($_SERVER['HTTP_HOST'] ?? '')) {
        http_response_code(403);
        exit("This form came from another site.\n");
    }
    $name = $_POST['name'] ?? null;
    $password = $_POST['password'] ?? null;
    if (is_string($name) && is_string($password) && (PASSWORDS[$name] ?? null) === $password) {
        session_regenerate_id(true);
        $_SESSION['user'] = $name;
    }
    header('Location: /', true, 303);
    exit;
}

$user = $_SESSION['user'] ?? null;
?>
<!doctype html>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>phpgw and plain PHP</title>
<style nonce="<?= $nonce ?>">
    body { font: 1rem/1.5 system-ui, sans-serif; max-width: 34rem; margin: 2rem auto; padding: 0 1rem }
    form { display: flex; gap: .5rem; flex-wrap: wrap }
    input { flex: 1 }
</style>
<?php if ($user === null) : ?>
    <h1>Who are you?</h1>
    <form method="post">
        <input name="name" autocomplete="username" placeholder="alice or bob" required autofocus>
        <input name="password" type="password" autocomplete="current-password" placeholder="its password" required>
        <button>Log in</button>
    </form>
<?php else : ?>
    <h1>Hello, <?= htmlspecialchars($user) ?></h1>
    <ul id="news"></ul>
    <form id="say"><input id="text" placeholder="Say something" autocomplete="off" autofocus><button>Send</button></form>
    <script nonce="<?= $nonce ?>">
        const socket = new WebSocket(<?= json_encode($url, JSON_HEX_TAG) ?>)
        const show = (text) => news.appendChild(document.createElement('li')).textContent = text
        socket.onmessage = (event) => show(event.data)
        socket.onclose = (event) => show(`The connection has ended (${event.code} ${event.reason}).`)
        say.onsubmit = (event) => {
            event.preventDefault()
            socket.send(text.value)
            text.value = ''
        }
    </script>
<?php endif;
