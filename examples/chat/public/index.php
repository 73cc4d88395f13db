<?php

// The chat's page: an ordinary PHP page with a session. The rest is up to chat.js and, by way of the gateway, to
// websocket.php.

declare(strict_types=1);

require __DIR__ . '/../app.php';

open_page();
$room = name_from($_GET['room'] ?? null);
$me = visitor();
if ($me === null) {
    go_to('login.php', $room);
}
if ($room === null || $room !== $_GET['room']) {
    go_to('index.php', $room ?? ROOMS[0]); // so that each room has one address, to be passed on
}

$api = get_cfg_var('phpgw.api') ?: Phpgw\Gateway::DEFAULT_URL;

?>
<!doctype html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width, initial-scale=1, interactive-widget=resizes-content">
  <meta name="color-scheme" content="light dark">
  <title><?= h($room) ?></title>
  <link rel="icon" href="icon.svg">
  <link rel="stylesheet" href="base.css">
  <link rel="stylesheet" href="chat.css">
  <script type="module" src="chat.js"></script>
</head>
<body class="chat" data-gateway="<?= h(websocket_origin()) ?>" data-api="<?= h($api) ?>"
  data-id="<?= h($me['id']) ?>" data-name="<?= h($me['name']) ?>">
  <aside>
    <header>
      <img src="icon.svg" alt="" width="30" height="30">
      <strong>Chat</strong>
      <time id="clock" title="PHP sends it, every second"></time>
    </header>

    <nav aria-labelledby="rooms-title">
      <h2 id="rooms-title">Rooms</h2>
      <ul id="rooms"></ul>
      <form id="open-room" action="index.php" autocomplete="off">
        <label for="room" class="unseen">Open a room by its name</label>
        <input id="room" name="room" maxlength="32" required placeholder="Another room" enterkeyhint="go">
        <button class="quiet" aria-label="Open the room">
          <svg viewBox="0 0 24 24" width="18" height="18" aria-hidden="true"><path d="M11 5h2v6h6v2h-6v6h-2v-6H5v-2h6z"/></svg>
        </button>
      </form>
    </nav>

    <section id="here" aria-labelledby="here-title">
      <h2 id="here-title">Here now</h2>
      <ul id="people"></ul>
    </section>

    <details id="push">
      <summary>Push from outside</summary>
      <p>Whatever can POST can speak to this room. From a shell:</p>
      <pre tabindex="0"><code id="curl"></code></pre>
      <p>Or from <a data-page="push.php" target="_blank">an ordinary PHP page</a>.</p>
    </details>

    <form id="me" action="logout.php" method="post">
      <a data-page="login.php" title="Change your nickname"></a>
      <button class="quiet" aria-label="Log out" title="Log out">
        <svg viewBox="0 0 24 24" width="20" height="20" aria-hidden="true"><path d="M4 4h8v2H6v12h6v2H4zm11.6 3 5 5-5 5-1.4-1.4 2.6-2.6H9v-2h7.8l-2.6-2.6z"/></svg>
      </button>
    </form>
  </aside>

  <main>
    <header>
      <h1 id="title"><?= h($room) ?></h1>
      <p id="state" role="status"><span></span><span aria-hidden="true"></span></p>
    </header>

    <div id="scroll" tabindex="0" role="region" aria-label="Conversation">
      <div id="empty" hidden>
        <img src="icon.svg" alt="" width="56" height="56">
        <h2></h2>
        <p></p>
      </div>
      <div role="log" aria-label="Messages">
        <ol id="log"></ol>
      </div>
    </div>
    <button type="button" id="newer" hidden>New messages</button>
    <p id="notice" role="alert" hidden></p>

    <form id="writing" autocomplete="off">
      <label for="text" class="unseen">Message</label>
      <textarea id="text" rows="1" maxlength="2000" placeholder="Write a message" enterkeyhint="send"></textarea>
      <button type="button" id="story" class="quiet" title="PHP tells a story, word by word">/story</button>
      <button aria-label="Send">
        <svg viewBox="0 0 24 24" width="20" height="20" aria-hidden="true"><path d="M3 20.5 21.5 12 3 3.5v6.6L15 12 3 13.9z"/></svg>
      </button>
    </form>
  </main>

  <noscript>This page needs JavaScript: it talks over a WebSocket.</noscript>
</body>
</html>
