<?php

// Asks for a nickname and puts it into the session, as a login would do with a name and a password.

declare(strict_types=1);

require __DIR__ . '/../app.php';

open_page();
open_session(to_write: true);
$room = name_from($_GET['room'] ?? null);
$name = name_from($_POST['nickname'] ?? null);

if ($name !== null) {
    if (!isset($_SESSION['visitor'])) {
        session_regenerate_id(true); // lest somebody has planted the old id, and knows it
    }
    $id = $_SESSION['visitor']['id'] ?? bin2hex(random_bytes(8));
    $_SESSION['visitor'] = ['id' => $id, 'name' => $name];
    session_write_close();
    gateway()->closeUser($id, reason: 'New nickname.'); // tabs that are open come back at once, under the new name
    go_to('index.php', $room);
}

?>
<!doctype html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <meta name="color-scheme" content="light dark">
  <title>Chat</title>
  <link rel="icon" href="icon.svg">
  <link rel="stylesheet" href="base.css">
</head>
<body class="card">
  <main>
    <img src="icon.svg" alt="" width="56" height="56">
    <h1>Who are you?</h1>
    <p>
      Choose a nickname to come <?= $room === null ? 'in' : 'into <strong>' . h($room) . '</strong>' ?>.
      To meet somebody, come in again from another browser or a private window.
    </p>
    <form method="post">
      <label for="nickname">Nickname</label>
      <input id="nickname" name="nickname" value="<?= h($_SESSION['visitor']['name'] ?? '') ?>" maxlength="32" required
        autofocus autocomplete="nickname" autocapitalize="words" enterkeyhint="go">
<?php if (isset($_POST['nickname'])) { ?>
      <p role="alert">A nickname has 1 to 32 characters.</p>
<?php } ?>
      <button>Come in</button>
    </form>
  </main>
</body>
</html>
