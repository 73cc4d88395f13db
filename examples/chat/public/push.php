<?php

// An ordinary page with an ordinary form, nowhere near a WebSocket; what it sends is in the room at once.

declare(strict_types=1);

require __DIR__ . '/../app.php';

open_page();
$room = name_from($_GET['room'] ?? null) ?? ROOMS[0];
if (visitor() === null) {
    go_to('login.php', $room);
}

$text = text_from($_POST['message'] ?? null, 2000);
if ($text !== null) {
    $result = gateway()->sendToGroup($room, $text);
}

?>
<!doctype html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <meta name="color-scheme" content="light dark">
  <title>Push to <?= h($room) ?></title>
  <link rel="icon" href="icon.svg">
  <link rel="stylesheet" href="base.css">
</head>
<body class="card">
  <main>
    <img src="icon.svg" alt="" width="56" height="56">
    <h1>Push to <?= h($room) ?></h1>
    <p>An ordinary PHP page: it knows the gateway, and nobody in the room.</p>
    <form method="post">
      <label for="message">Message</label>
      <input id="message" name="message" maxlength="2000" required autofocus autocomplete="off">
<?php if (isset($result)) { ?>
      <p role="status"><?= $result->ok ? "Windows that have it: $result->delivered" : h($result->error) ?></p>
<?php } ?>
      <button>Push</button>
    </form>
  </main>
</body>
</html>
